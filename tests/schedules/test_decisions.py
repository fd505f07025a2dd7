"""Settings of a schedule, and what is decided about a due moment."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schedules.clock_changes import DstRule, Missing, Repeated
from schedules.decisions import Ruling, decide
from schedules.policies import Settings
from schedules.setting_readers import InvalidSettings

NOON = datetime(2025, 3, 2, 12, tzinfo=UTC)
HOURS = [NOON - timedelta(hours=back) for back in (2, 1, 0)]


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
    ],
)
def test_a_wrong_setting_is_refused_by_name(raw: Any, field: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.from_json(raw)

    assert caught.value.field == field
    assert len(str(caught.value)) < 250


def test_a_due_moment_is_started() -> None:
    assert decide([NOON], Settings()) == [Ruling("started")]


def test_nothing_due_needs_no_ruling() -> None:
    assert decide([], Settings()) == []


def test_of_several_overdue_moments_the_latest_is_started_and_the_earlier_are_missed() -> None:
    rulings = decide(HOURS, Settings())

    assert [ruling.decision for ruling in rulings] == ["missed", "missed", "started"]
    assert rulings[0].reason == (
        "Not started in time; of the overdue moments only the latest, 2025-03-02 12:00 UTC, is run."
    )


def test_when_there_were_too_many_the_first_missed_one_stands_for_the_unlisted() -> None:
    rulings = decide(HOURS, Settings(), unlisted_since=NOON - timedelta(days=9))

    assert rulings[0].reason.endswith("This stands for every moment since 2025-02-21 12:00 UTC.")
    assert "stands for" not in rulings[1].reason


def test_a_moment_is_skipped_while_the_previous_run_goes_on() -> None:
    settings = Settings(skip_if_previous_running=True)

    assert decide([NOON], settings, [4, 9]) == [Ruling("skipped", "The previous run, 9, was still running.", 9)]
    assert decide([NOON], settings, []) == [Ruling("started")]


def test_without_that_setting_runs_may_overlap() -> None:
    assert decide([NOON], Settings(), [4, 9]) == [Ruling("started")]


def test_a_moment_over_the_limit_is_skipped_and_names_the_oldest_run() -> None:
    settings = Settings(pipeline_run_limit=2)

    assert decide([NOON], settings, [4, 9]) == [
        Ruling("skipped", "The limit was reached: 2 runs are allowed at a time.", 4)
    ]
    assert decide([NOON], settings, [4]) == [Ruling("started")]


def test_after_downtime_the_latest_is_held_to_the_same_rules() -> None:
    rulings = decide(HOURS, Settings(skip_if_previous_running=True), [4])

    assert [ruling.decision for ruling in rulings] == ["missed", "missed", "skipped"]
