"""What a rule is told is checked before it is kept, and reads as a phrase."""

from typing import Any

import pytest

from alerts import kinds
from alerts.models import AlertRule, Kind
from pipelines.models import Pipeline
from pipelines.refusal import Refusal


def rule(kind: str, settings: dict[str, Any] | None = None, **scope: Any) -> AlertRule:
    return AlertRule(name="a rule", kind=kind, settings=settings or {}, **scope)


@pytest.mark.parametrize("kind", Kind.values)
def test_every_kind_can_be_read_with_its_defaults(kind: str) -> None:
    assert kinds.read(kind, kinds.defaults(kind))
    assert set(kinds.defaults(kind)) <= set(kinds.NAMES[kind])


@pytest.mark.parametrize(
    ("kind", "settings", "field", "says"),
    [
        ("odd", {}, "kind", "no kind of rule"),
        (Kind.RUN_FAILED, {"count": 3}, "settings.count", "It has none"),
        (Kind.RUN_FAILED, [], "settings", "no object"),
        (Kind.CONSECUTIVE_FAILURES, {"count": 1}, "settings.count", "2 to 100"),
        (Kind.CONSECUTIVE_FAILURES, {"count": 2.5}, "settings.count", "no whole number"),
        (Kind.CONSECUTIVE_FAILURES, {"count": True}, "settings.count", "no number"),
        (Kind.CONSECUTIVE_FAILURES, {"counts": 3}, "settings.counts", "Allowed: count"),
        (Kind.DEADLINE, {}, "settings.seconds", "missing"),
        (Kind.DEADLINE, {"seconds": 60, "since": "noon"}, "settings.since", "due"),
        (Kind.FRESHNESS, {"seconds": float("nan")}, "settings.seconds", "no number"),
        (Kind.QUEUE_TIME, {"seconds": 0}, "settings.seconds", "outside"),
        (Kind.QUEUE_TIME, {"seconds": 10**400}, "settings.seconds", "outside 1 to"),
        (Kind.ROW_COUNT, {"high": 10**400}, "settings.high", "outside 0 to"),
        (Kind.SLOWER, {"factor": 0.5}, "settings.factor", "outside"),
        (Kind.SLOWER, {"samples": 2}, "settings.samples", "3 to 100"),
        (Kind.OCCURRENCE_MISSED, {"decisions": []}, "settings.decisions", "one or more of"),
        (Kind.OCCURRENCE_MISSED, {"decisions": ["started"]}, "settings.decisions", "one or more of"),
        (Kind.LOG_PATTERN, {"pattern": " ** "}, "settings.pattern", "nothing but"),
        (Kind.LOG_PATTERN, {"pattern": "x" * 201}, "settings.pattern", "longer than 200"),
        (Kind.LOG_PATTERN, {"pattern": 7}, "settings.pattern", "missing"),
        (Kind.ROW_COUNT, {}, "settings.low", "Neither"),
        (Kind.ROW_COUNT, {"low": -1}, "settings.low", "outside"),
        (Kind.ROW_COUNT, {"low": 10, "high": 9}, "settings.high", "less than low"),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(kind: str, settings: Any, field: str, says: str) -> None:
    with pytest.raises(Refusal) as caught:
        kinds.read(kind, settings)
    assert caught.value.field == field
    assert says in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("kind", "scope", "field"),
    [
        (Kind.UNHEALTHY, {"tag": "nightly"}, "tag"),
        (Kind.DELIVERY_FAILED, {"trigger_id": 5}, "trigger_id"),
        (Kind.RUN_FAILED, {"block_uuid": "load"}, "block_uuid"),
        (Kind.FRESHNESS, {}, "pipeline"),
        (Kind.ROW_COUNT, {}, "block_uuid"),
    ],
)
def test_a_kind_is_told_about_whom_it_can_be(kind: str, scope: dict[str, Any], field: str) -> None:
    everything: dict[str, Any] = {"pipeline": None, "tag": "", "trigger_id": None, "block_uuid": ""}
    with pytest.raises(Refusal) as caught:
        kinds.check_scope(kind, **everything | scope)
    assert caught.value.field == field


ETL = Pipeline(uuid="etl", name="etl")


@pytest.mark.parametrize(
    ("kind", "settings", "scope", "phrase"),
    [
        (Kind.RUN_FAILED, {}, {}, "a failed run"),
        (Kind.RUN_FAILED, {}, {"tag": "nightly"}, "a failed run of pipelines tagged nightly"),
        (Kind.BLOCK_FAILED, {}, {"pipeline": ETL, "block_uuid": "load"}, "a failure of load in etl"),
        (Kind.CONSECUTIVE_FAILURES, {}, {"pipeline": ETL}, "3 failed runs of etl in a row"),
        (Kind.SLA, {}, {"trigger_id": 5}, "a passed SLA started by trigger 5"),
        (Kind.DEADLINE, {"seconds": 3600}, {}, "a run that is not finished 1 h after it was due"),
        (Kind.FRESHNESS, {"seconds": 21_600}, {"pipeline": ETL}, "no completed run of etl for 6 h"),
        (Kind.SLOWER, {}, {"pipeline": ETL}, "a run of etl that takes longer than 2 times what is usual (p95)"),
        (Kind.QUEUE_TIME, {"seconds": 300}, {}, "a run that waits longer than 5 min for its place or a worker"),
        (Kind.OCCURRENCE_MISSED, {}, {}, "a moment that was missed or expired"),
        (Kind.LOG_PATTERN, {"pattern": "refused"}, {}, "a log that says “refused”"),
        (Kind.ROW_COUNT, {"low": 1, "high": 5000}, {"block_uuid": "load"}, "fewer than 1 or more than 5,000 rows of"),
        (Kind.SLOWER, {"factor": "twice"}, {}, "nothing: factor is no number."),
    ],
)
def test_a_rule_reads_as_a_phrase(kind: str, settings: dict[str, Any], scope: dict[str, Any], phrase: str) -> None:
    assert kinds.sentence(rule(kind, settings, **scope)).startswith(phrase)


def test_a_trigger_is_named_where_its_name_is_known() -> None:
    assert kinds.sentence(rule(Kind.RUN_FAILED, trigger_id=5), "daily") == "a failed run started by daily"
