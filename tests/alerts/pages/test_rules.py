"""The pages of alert rules: sentences, a form for each kind, and what is refused."""

from datetime import time, timedelta
from typing import Any

import pytest
from django.test import Client

from alerts.models import AlertRule, Kind
from tests.alerts.facts import make_channel, make_incident, rule_of
from tests.factories import NOON, make_pipeline, make_schedule, text_of

pytestmark = pytest.mark.django_db
NEW = "/incidents/rules/new/"
FRESH = {
    "name": "Report is late",
    "kind": "freshness",
    "severity": "critical",
    "fresh_for": "6 h",
    "pipeline": "daily_report",
    "timezone": "UTC",
    "is_active": "on",
}


@pytest.fixture
def report(db: None) -> Any:
    return make_pipeline("daily_report")


def error_of(answer: Any, field: str) -> str:
    assert answer.status_code == 422, answer
    return " ".join(answer.context["form"].errors[field])


def test_the_list_reads_as_sentences_with_what_is_open_now(page: Client) -> None:
    rule_of().channels.add(make_channel("ops"))
    make_incident()

    answer = page.get("/incidents/rules/")
    rows = {row["rule"].kind: row for row in answer.context["rows"]}

    assert rows[Kind.RUN_FAILED]["words"] == "Tell ops of a failed run"
    assert rows[Kind.SLA]["words"] == "Watch for a passed SLA"
    assert rows[Kind.RUN_FAILED]["open"] == 1
    assert f'href="/incidents/?rule={rule_of().pk}"' in text_of(answer)


def test_the_list_takes_few_queries_however_long_it_is(page: Client, django_assert_max_num_queries: Any) -> None:
    schedule = make_schedule()
    for number in range(5):
        rule = AlertRule.objects.create(
            name=f"rule {number}",
            kind="run_failed",
            trigger_id=schedule.pk,
            created_at=NOON,
            updated_at=NOON,
        )
        rule.channels.add(make_channel(f"channel {number}"))

    with django_assert_max_num_queries(8):
        text = text_of(page.get("/incidents/rules/"))

    assert "started by daily" in text


def test_a_rule_is_written_down_with_the_settings_of_its_kind_alone(page: Client, report: Any) -> None:
    channel = make_channel("ops")
    sent = {**FRESH, "channels": [channel.pk], "count": "7", "wait_for": "nonsense", "renotify_every": "4 h"}

    answer = page.post(NEW, {**sent, "quiet_from": "22:00", "quiet_until": "06:00"}, follow=True)
    rule = AlertRule.objects.get(name="Report is late")

    assert "Tell ops of no completed run of daily_report for 6 h" in text_of(answer)
    assert rule.settings == {"seconds": 21_600}
    assert list(rule.channels.all()) == [channel]
    assert rule.renotify_every == timedelta(hours=4)
    assert (rule.quiet_from, rule.quiet_until) == (time(22), time(6))
    assert rule.created_by == "ada"


@pytest.mark.parametrize(
    ("sent", "settings"),
    [
        ({"kind": "consecutive_failures", "count": "4"}, {"count": 4}),
        ({"kind": "deadline", "finish_within": "90 min", "since": "start"}, {"seconds": 5400, "since": "start"}),
        ({"kind": "slower", "factor": "1.5", "samples": "20"}, {"factor": 1.5, "samples": 20}),
        ({"kind": "queue_time", "wait_for": "10 min"}, {"seconds": 600}),
        ({"kind": "occurrence_missed", "decisions": ["missed"]}, {"decisions": ["missed"]}),
        ({"kind": "log_pattern", "pattern": "* refused"}, {"pattern": "* refused"}),
        ({"kind": "row_count", "high": "9", "block_uuid": "load"}, {"high": 9}),
        ({"kind": "unhealthy", "pipeline": "daily_report", "block_uuid": "load"}, {}),
        ({"kind": "run_failed", "block_uuid": "is hidden"}, {}),
    ],
)
def test_each_kind_takes_its_own_fields(page: Client, report: Any, sent: Any, settings: Any) -> None:
    page.post(NEW, {**FRESH, **sent})

    rule = AlertRule.objects.get(name="Report is late")
    assert rule.settings == settings
    assert bool(rule.pipeline) == (rule.kind != Kind.UNHEALTHY)
    assert rule.block_uuid == ("load" if rule.kind == Kind.ROW_COUNT else "")


@pytest.mark.parametrize(
    ("sent", "field", "said"),
    [
        ({"name": ""}, "name", "1–200 printable"),
        ({"name": "A run failed"}, "name", "exists already"),
        ({"name": "a\u202eb\n"}, "name", "printable"),
        ({"name": "x" * 201}, "name", "at most 200"),
        ({"kind": "boredom"}, "kind", "boredom is none of"),
        ({"severity": "loud"}, "severity", "loud is none of"),
        ({"fresh_for": ""}, "fresh_for", "length of time"),
        ({"fresh_for": "a while"}, "fresh_for", "length of time"),
        ({"fresh_for": "0 s"}, "fresh_for", "outside"),
        ({"pipeline": "daily"}, "pipeline", "There is no pipeline"),
        ({"pipeline": ""}, "pipeline", "Whose runs"),
        ({"pipeline": "a\x00b"}, "pipeline", "Null characters"),
        ({"kind": "row_count", "low": "1", "block_uuid": "laod"}, "block_uuid", "Did you mean load?"),
        ({"kind": "row_count", "low": "9", "high": "1", "block_uuid": "load"}, "high", "less than low"),
        ({"kind": "row_count", "low": "", "high": "", "block_uuid": "load"}, "low", "Neither"),
        ({"kind": "occurrence_missed", "decisions": ["gone"]}, "decisions", "gone"),
        ({"trigger_id": "4711"}, "trigger_id", "4711 is none of"),
        ({"channels": ["4711"]}, "channels", "4711"),
        ({"renotify_every": "often"}, "renotify_every", "Write a length of time"),
        ({"renotify_every": "5 s"}, "renotify_every", "so often"),
        ({"renotify_every": "9" * 15}, "renotify_every", "Write a length of time"),
        ({"quiet_from": "22:00"}, "quiet_until", "a beginning and an end"),
        ({"quiet_from": "22:00", "quiet_until": "22:00"}, "quiet_until", "end when they begin"),
        ({"quiet_from": "ten"}, "quiet_from", "hours and minutes"),
        ({"timezone": "Mars/Base"}, "timezone", "Unknown time zone"),
        ({"runbook_url": "javascript:alert(1)"}, "runbook_url", "http:// or https://"),
    ],
)
def test_what_makes_no_sense_is_told_beside_its_field_and_nothing_kept(
    page: Client, report: Any, sent: Any, field: str, said: str
) -> None:
    count = AlertRule.objects.count()

    assert said in error_of(page.post(NEW, {**FRESH, **sent}), field)
    assert AlertRule.objects.count() == count


def test_a_trigger_of_another_pipeline_is_refused(page: Client, report: Any) -> None:
    schedule = make_schedule(make_pipeline("etl"))

    answer = page.post(NEW, {**FRESH, "trigger_id": str(schedule.pk)})

    assert "daily is no trigger of daily_report" in error_of(answer, "trigger_id")


def test_the_form_of_a_rule_holds_what_is_kept_and_changes_it(page: Client, report: Any) -> None:
    page.post(NEW, FRESH)
    rule = AlertRule.objects.get(name="Report is late")
    address = f"/incidents/rules/{rule.pk}/"

    form = page.get(address).context["form"]
    assert (form["fresh_for"].value(), form["pipeline"].value()) == ("6 h", "daily_report")
    answer = page.post(address, {**FRESH, "fresh_for": "8 h", "tag": form["tag"].value()})

    rule.refresh_from_db()
    assert answer.status_code == 302
    assert rule.settings == {"seconds": 28_800}


def test_a_rule_that_someone_else_changed_is_not_overwritten(page: Client, report: Any) -> None:
    page.post(NEW, FRESH)
    rule = AlertRule.objects.get(name="Report is late")
    old = page.get(f"/incidents/rules/{rule.pk}/").context["form"]["tag"].value()
    AlertRule.objects.filter(pk=rule.pk).update(severity="info")

    answer = page.post(f"/incidents/rules/{rule.pk}/", {**FRESH, "tag": old})

    assert answer.status_code == 409
    assert "Someone changed this rule" in text_of(answer)


def test_a_preview_says_the_rule_in_words_or_what_is_wrong(page: Client, report: Any) -> None:
    channel = make_channel("ops")

    words = text_of(page.post("/incidents/rules/preview/", {**FRESH, "name": "", "channels": [channel.pk]}))
    wrong = text_of(page.post("/incidents/rules/preview/", {**FRESH, "fresh_for": "<b>soon</b>"}))

    assert "Tell ops of no completed run of daily_report for 6 h." in words
    assert "length of time" in wrong
    assert "<b>" not in wrong
    assert page.post("/incidents/rules/preview/").status_code == 200


def test_a_rule_is_switched_off_and_on_and_deleted(page: Client) -> None:
    incident = make_incident()
    address = f"/incidents/rules/{rule_of().pk}"

    page.post(f"{address}/switch/", {"to": "off"})
    assert not rule_of().is_active
    page.post(f"{address}/switch/", {"to": "on"})
    assert rule_of().is_active
    assert "its incidents stay" in text_of(page.post(f"{address}/delete/", follow=True))

    incident.refresh_from_db()
    assert incident.rule is None
    assert page.get(f"/incidents/{incident.pk}/").status_code == 200
    assert page.get(f"{address}/").status_code == 404


def test_without_rules_the_list_says_what_one_is_for(page: Client) -> None:
    AlertRule.objects.all().delete()

    assert "There is no rule." in text_of(page.get("/incidents/rules/"))


def test_hostile_names_are_shown_as_text(page: Client) -> None:
    channel = make_channel("<i>ops</i>")
    AlertRule.objects.update(tag="<script>alert(1)</script>")
    rule_of().channels.add(channel)

    for path in ("/incidents/rules/", f"/incidents/rules/{rule_of().pk}/"):
        text = text_of(page.get(path))
        assert "<script>alert" not in text
        assert "<i>ops" not in text


def test_reading_changes_no_rule(page: Client) -> None:
    assert page.get(f"/incidents/rules/{rule_of().pk}/switch/").status_code == 405
    assert page.get(f"/incidents/rules/{rule_of().pk}/delete/").status_code == 405
