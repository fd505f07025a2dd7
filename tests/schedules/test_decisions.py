"""Settings of a schedule, and what is decided about a due moment."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schedules.decisions import Due, Ruling, Verdict, rule
from schedules.policies import Settings
from schedules.rules.clock_changes import DstRule, Missing, Repeated
from schedules.setting_readers import InvalidSettings

NOON = datetime(2025, 3, 2, 12, tzinfo=UTC)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def test_settings_have_defaults() -> None:
    assert Settings.from_json(None) == Settings.from_json({}) == Settings()
    assert Settings().on_pipeline_run_limit_reached == "skip"


def test_settings_are_read_under_mages_names_and_unknown_ones_are_kept() -> None:
    settings = Settings.from_json(
        {
            "skip_if_previous_running": True,
            "pipeline_run_limit": 3,
            "timeout": 90,
            "timeout_status": "cancelled",
            "retry_config": {"retries": 2, "delay": 5, "color": "red"},
            "invalid_schedule_interval": False,
        }
    )

    assert settings == Settings(
        skip_if_previous_running=True,
        pipeline_run_limit=3,
        timeout=timedelta(seconds=90),
        timeout_status="cancelled",
        retry_config={"retries": 2, "delay": 5, "color": "red"},
        others={"invalid_schedule_interval": False},
    )


def test_the_choices_about_dst_are_settings() -> None:
    settings = Settings.from_json({"dst_missing": "skipped", "dst_repeated": "both"})

    assert settings.dst == DstRule(Missing.SKIPPED, Repeated.BOTH)
    assert Settings().dst == DstRule(Missing.AT_NEXT_VALID, Repeated.FIRST)


def test_a_setting_that_is_null_is_not_set() -> None:
    assert Settings.from_json({"timeout": None, "pipeline_run_limit": None}) == Settings()


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ([], "settings.settings"),
        ("yes", "settings.settings"),
        ({"skip_if_previous_running": "yes"}, "settings.skip_if_previous_running"),
        ({"allow_blocks_to_fail": 1}, "settings.allow_blocks_to_fail"),
        ({"create_initial_pipeline_run": "true"}, "settings.create_initial_pipeline_run"),
        ({"landing_time_enabled": []}, "settings.landing_time_enabled"),
        ({"pipeline_run_limit": 0}, "settings.pipeline_run_limit"),
        ({"pipeline_run_limit": -1}, "settings.pipeline_run_limit"),
        ({"pipeline_run_limit": "5"}, "settings.pipeline_run_limit"),
        ({"pipeline_run_limit": True}, "settings.pipeline_run_limit"),
        ({"pipeline_run_limit": 2**63}, "settings.pipeline_run_limit"),
        ({"on_pipeline_run_limit_reached": "cancel"}, "settings.on_pipeline_run_limit_reached"),
        ({"timeout": 0}, "settings.timeout"),
        ({"timeout": float("nan")}, "settings.timeout"),
        ({"timeout": 1e99}, "settings.timeout"),
        ({"timeout": "1h"}, "settings.timeout"),
        ({"dst_missing": "later"}, "settings.dst_missing"),
        ({"dst_missing": ["skipped"]}, "settings.dst_missing"),
        ({"dst_repeated": "third"}, "settings.dst_repeated"),
        ({"dst_repeated": 2}, "settings.dst_repeated"),
        ({"timeout_status": "done"}, "settings.timeout_status"),
        ({"timeout_status": ["failed"]}, "settings.timeout_status"),
        ({"retry_config": 3}, "settings.retry_config"),
        ({"retry_config": {"retries": -1}}, "settings.retry_config.retries"),
        ({"retry_config": {"retries": None}}, "settings.retry_config.retries"),
        ({"retry_config": {"delay": "5"}}, "settings.retry_config.delay"),
        ({"retry_config": {"max_delay": -5}}, "settings.retry_config.max_delay"),
        ({"retry_config": {"exponential_backoff": "no"}}, "settings.retry_config.exponential_backoff"),
        ({"retry_config": {"jitter": 1.5}}, "settings.retry_config.jitter"),
        ({"retry_config": {"retry_on": [1]}}, "settings.retry_config.retry_on"),
        ({"retry_config": {"give_up_on": "no name"}}, "settings.retry_config.give_up_on"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(raw: Any, field: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.from_json(raw)

    assert caught.value.field == field
    assert len(str(caught.value)) < 250


# --- what becomes of moments ------------------------------------------------------------------------------------------


def due(*ages: timedelta, hit: str = "") -> list[Due]:
    """Moments that are so old at noon."""
    return [Due(NOON - age, NOON - age, hit) for age in ages]


def verdicts(moments: list[Due], paused_until: datetime | None = None, **settings: Any) -> list[str]:
    found = rule(moments, Settings.from_json(settings), NOON, paused_until=paused_until)
    return [ruling.verdict.value for ruling in found]


DOWNTIME = due(3 * HOUR, 2 * HOUR, HOUR)


def test_a_moment_that_has_just_come_is_started() -> None:
    assert rule(due(2 * SECOND), Settings(), NOON) == [Ruling(Verdict.START)]


def test_nothing_due_needs_no_ruling() -> None:
    assert rule([], Settings(), NOON) == []


@pytest.mark.parametrize("paused_until", [None, NOON - MINUTE])
@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, ["missed", "missed", "started"]),
        ({"catchup": "latest"}, ["missed", "missed", "started"]),
        ({"catchup": "none"}, ["missed", "missed", "missed"]),
        ({"catchup": "all"}, ["started", "started", "started"]),
        ({"catchup": "all", "catchup_max": 2}, ["missed", "started", "started"]),
        ({"catchup": "hold"}, ["held", "held", "held"]),
        ({"catchup": "hold", "catchup_max": 1}, ["missed", "missed", "held"]),
        ({"catchup": "all", "catchup_window": 7200}, ["missed", "started", "started"]),
        ({"catchup": "latest", "catchup_window": 60}, ["missed", "missed", "missed"]),
        ({"catchup": "all", "start_deadline": 5400}, ["expired", "expired", "started"]),
        ({"start_deadline": 60}, ["missed", "missed", "expired"]),
    ],
)
def test_late_moments_are_for_the_policy_after_downtime_and_after_a_pause_alike(
    settings: dict[str, Any], wanted: list[str], paused_until: datetime | None
) -> None:
    assert verdicts(DOWNTIME, paused_until, **settings) == wanted


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        ("latest", ["missed", "started"]),
        ("none", ["missed", "started"]),
        ("all", ["started", "started"]),
        ("hold", ["held", "started"]),
    ],
)
def test_a_punctual_moment_is_started_whatever_was_missed_before_it(policy: str, wanted: list[str]) -> None:
    assert verdicts(due(HOUR, SECOND), catchup=policy) == wanted


def test_up_to_a_minute_late_is_on_time() -> None:
    assert verdicts(due(MINUTE), catchup="none") == ["started"]
    assert verdicts(due(MINUTE + SECOND), catchup="none") == ["missed"]


@pytest.mark.parametrize(("policy", "wanted"), [("none", "missed"), ("hold", "held"), ("latest", "started")])
def test_what_passed_in_a_pause_is_late_however_soon_somebody_resumed(policy: str, wanted: str) -> None:
    assert verdicts(due(10 * SECOND), NOON - SECOND, catchup=policy) == [wanted]


def test_what_is_due_with_the_switching_on_is_punctual() -> None:
    assert verdicts(due(SECOND), NOON - SECOND, catchup="none") == ["started"]


def test_lateness_counts_from_when_it_was_to_start_not_from_its_moment() -> None:
    lands_later = Due(NOON + HOUR, NOON - SECOND)
    shaken = Due(NOON - HOUR, NOON - SECOND)

    assert [
        ruling.verdict for ruling in rule([shaken, lands_later], Settings.from_json({"catchup": "none"}), NOON)
    ] == [
        Verdict.START,
        Verdict.START,
    ]


def test_a_day_of_the_calendar_is_skipped_and_named_and_stands_for_no_other() -> None:
    moments = [*due(HOUR), *due(SECOND, hit="Christmas Day (de)")]

    found = rule(moments, Settings(), NOON)

    assert [ruling.verdict for ruling in found] == [Verdict.START, Verdict.SKIPPED]
    assert found[1].reason == "Calendar: Christmas Day (de)."


def test_the_reasons_say_what_happened() -> None:
    missed, _, started = rule(DOWNTIME, Settings(), NOON)
    (paused,) = rule(due(HOUR), Settings.from_json({"catchup": "none"}), NOON, paused_until=NOON)
    (old,) = rule(due(48 * HOUR), Settings(), NOON)
    (expired,) = rule(due(10 * SECOND), Settings.from_json({"start_deadline": 5}), NOON)

    assert missed.reason == (
        "Not started in time. Of the overdue moments only the latest, 2025-03-02 11:00 UTC, is run."
    )
    assert started.reason == "Not started in time. Catch-up: latest."
    assert paused.reason == "Paused until 2025-03-02 12:00 UTC. Catch-up: none."
    assert old.reason == "Not started in time. Older than the catch-up window, 1 day, 0:00:00."
    assert expired.reason == "Not started within 0:00:05 of 2025-03-02 11:59 UTC."


def test_when_there_were_too_many_the_first_missed_one_stands_for_the_unlisted() -> None:
    first, *_ = rule(DOWNTIME, Settings.from_json({"catchup": "all"}), NOON, unlisted_since=NOON - 99 * HOUR)

    assert first.verdict is Verdict.MISSED
    assert first.reason.endswith("This stands for every moment since 2025-02-26 09:00 UTC.")
