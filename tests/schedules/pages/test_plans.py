"""What saving a trigger would change: moments before and after, overlaps, what is started."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from pipelines.refusal import Refusal
from runs.models import PipelineRun
from runs.states import RunStatus
from schedules import scheduler, triggers
from schedules.models import PipelineSchedule, ScheduleType
from schedules.pages import plans
from tests.factories import NOON, make_client, make_pipeline, make_run, make_schedule

pytestmark = pytest.mark.django_db


def plan_of(before: PipelineSchedule | None = None, *, is_active: bool | None = None, **fields: Any) -> plans.Plan:
    if before is None:
        fields = {"pipeline": make_pipeline(), **fields}
    return plans.plan(before, plans.draft(before, fields, is_active=is_active), NOON)


def hours(moments: Any) -> set[int]:
    return {each.utc.hour for each in moments}


def lasting(minutes: float, count: int = 1) -> None:
    for _ in range(count):
        make_run(status=RunStatus.COMPLETED, started_at=NOON, completed_at=NOON + timedelta(minutes=minutes))


# --- moments ----------------------------------------------------------------------------------------------------------


def test_two_weeks_are_compared() -> None:
    plan = plan_of(make_schedule(schedule_interval="0 6,7 * * *"), schedule_interval="0 7,8 * * *")

    assert (hours(plan.added), hours(plan.removed), hours(plan.kept)) == ({8}, {6}, {7})
    assert [len(each) for each in (plan.before, plan.after, plan.added, plan.removed, plan.kept)] == [
        28,
        28,
        14,
        14,
        14,
    ]
    assert (plan.since, plan.until, plan.is_cut) == (NOON, NOON + timedelta(days=14), False)


def test_a_change_of_zone_moves_every_moment() -> None:
    plan = plan_of(make_schedule(schedule_interval="0 6 * * *"), timezone="Asia/Tokyo")

    assert (hours(plan.added), hours(plan.removed), plan.kept) == ({21}, {6}, [])


def test_a_change_that_moves_nothing_adds_and_removes_nothing() -> None:
    plan = plan_of(make_schedule(schedule_interval="@daily"), schedule_interval="0 0 * * *", description="other")

    assert not plan.is_changed
    assert len(plan.kept) == 14


def test_no_more_than_two_hundred_moments_are_compared_and_over_the_same_time() -> None:
    plan = plan_of(make_schedule(schedule_interval="* * * * *"), schedule_interval="*/30 * * * *")

    assert plan.is_cut
    assert plan.until == NOON + timedelta(minutes=200)
    assert (len(plan.before), len(plan.after), len(plan.removed), plan.added) == (200, 6, 194, [])


def test_pausing_removes_all_and_switching_on_adds_all() -> None:
    active = make_schedule(name="on", schedule_interval="0 6 * * *")
    paused = make_schedule(name="off", schedule_interval="0 6 * * *", is_active=False)

    assert len(plan_of(active, is_active=False).removed) == 14
    assert len(plan_of(paused, is_active=True).added) == 14
    assert not plan_of(paused, description="x").is_changed


def test_a_rule_that_is_wrong_now_has_no_moments_before() -> None:
    plan = plan_of(make_schedule(schedule_interval="61 * * * *"), schedule_interval="0 6 * * *")

    assert (plan.before, len(plan.added)) == ([], 14)


def test_a_rule_that_would_be_wrong_is_refused() -> None:
    with pytest.raises(Refusal, match="61 is outside"):
        plan_of(make_schedule(), schedule_interval="61 * * * *")


@settings(max_examples=25, deadline=None)
@given(
    old=some.sampled_from(["@daily", "*/7 * * * *", "0 6 * * 1-5", "every 90 minutes", "@once", "@always_on"]),
    new=some.sampled_from(["@daily", "*/5 * * * *", "30 2 * * *", "every 45 minutes", "on 2025-03-09"]),
    zone=some.sampled_from(["UTC", "America/New_York", "Asia/Kolkata"]),
)
def test_what_is_added_and_kept_is_what_comes_and_what_is_removed_was(old: str, new: str, zone: str) -> None:
    before = PipelineSchedule(pipeline_id=0, schedule_interval=old, is_active=True)

    plan = plans.plan(before, plans.draft(before, {"schedule_interval": new, "timezone": zone}, is_active=None), NOON)

    assert sorted([*plan.added, *plan.kept], key=lambda each: each.utc) == list(plan.after)
    assert {each.utc for each in plan.before} == {each.utc for each in [*plan.removed, *plan.kept]}
    assert all(NOON < each.utc <= plan.until for each in [*plan.before, *plan.after])


# --- clock changes ----------------------------------------------------------------------------------------------------


def test_clock_changes_of_two_years_are_told_also_of_a_paused_trigger() -> None:
    schedule = make_schedule(schedule_interval="30 2 * * *", timezone="Europe/Berlin", is_active=False)

    plan = plan_of(schedule, settings={"dst_missing": "skipped"})

    assert [f"{each.utc:%Y-%m}" for each in plan.bites] == ["2025-03", "2025-10", "2026-03", "2026-10"]
    assert "skipped" in plan.bites[0].note


# --- overlaps ---------------------------------------------------------------------------------------------------------


def test_without_a_finished_run_nothing_is_said_about_overlaps() -> None:
    plan = plan_of(make_schedule(), schedule_interval="* * * * *")

    assert (plan.usual, plan.overlaps) == (None, [])


def test_a_moment_within_the_usual_time_of_the_one_before_overlaps() -> None:
    schedule = make_schedule(schedule_interval="0 6 * * *")
    lasting(11)

    plan = plan_of(schedule, schedule_interval="0,10,30 6 * * *")

    assert plan.usual == timedelta(minutes=11)
    assert {each.utc.minute for each in plan.overlaps} == {10}


def test_the_usual_time_is_that_of_nine_in_ten_of_the_last_twenty() -> None:
    schedule = make_schedule()
    lasting(500, count=2)
    lasting(10, count=17)
    lasting(60, count=3)

    assert plan_of(schedule).usual == timedelta(minutes=60)


def test_the_runs_of_other_triggers_of_the_pipeline_are_met() -> None:
    schedule, lasts = make_schedule(schedule_interval="0 6 * * *"), 30
    near = make_schedule(name="near", schedule_interval="20 6 * * *")
    make_schedule(name="far", schedule_interval="0 7 * * *")
    make_schedule(name="off", schedule_interval="0 6 * * *", is_active=False)
    make_schedule(make_pipeline("other"), name="elsewhere", schedule_interval="0 6 * * *")
    lasting(lasts)

    plan = plan_of(schedule)

    assert {each.schedule for each in plan.collisions} == {near}
    assert len(plan.collisions) == 14
    assert plan.collisions[0].other_utc - plan.collisions[0].utc == timedelta(minutes=20)


def test_without_a_usual_time_only_the_same_moment_is_met() -> None:
    schedule = make_schedule(schedule_interval="0 6 * * *")
    make_schedule(name="near", schedule_interval="1 6 * * *")
    same = make_schedule(name="same", schedule_interval="0 6 * * 1")

    assert [each.schedule for each in plan_of(schedule).collisions] == [same, same]


# --- what saving does -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("was", "will", "words"),
    [
        (True, True, "Saving starts nothing; it takes effect from now on."),
        (True, False, "Saving pauses it; runs under way go on."),
        (False, False, "Saving starts nothing: it is paused."),
    ],
)
def test_saving_starts_nothing(was: bool, will: bool, words: str) -> None:
    assert plan_of(make_schedule(is_active=was), is_active=will).now == words


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"schedule_interval": "0 6 * * *"}, "starts nothing: the first run is at its next moment"),
        ({"schedule_interval": "@once"}, "Its one run starts at once."),
        ({"schedule_interval": "@once", "start_time": NOON + timedelta(1)}, "starts nothing"),
        ({"schedule_interval": "@always_on"}, "A run starts at once"),
        ({"schedule_interval": "@daily", "settings": {"create_initial_pipeline_run": True}}, "A first run starts"),
        ({"schedule_type": ScheduleType.API}, "waits for a call"),
        ({"schedule_type": ScheduleType.EVENT}, "it follows to end"),
    ],
)
def test_what_switching_a_new_trigger_on_starts_is_said(fields: dict[str, Any], words: str) -> None:
    assert words in plan_of(is_active=True, **fields).now


def test_switching_a_paused_trigger_on_by_saving_makes_up_for_nothing_and_says_so() -> None:
    since = NOON - timedelta(days=1)
    schedule = make_schedule(is_active=False, last_enabled_at=since, decided_until=since, schedule_interval="@hourly")

    assert "what passed while it was paused is not made up" in plan_of(schedule, is_active=True).now

    triggers.change(schedule, {"description": "x"}, is_active=True, moment=NOON)
    assert scheduler.tick(NOON).fired == 0
    assert not PipelineRun.objects.exists()


# --- the API ----------------------------------------------------------------------------------------------------------


def test_the_api_plans_a_change_and_changes_nothing() -> None:
    schedule = make_schedule(schedule_interval="0 6 * * *")
    before = PipelineSchedule.objects.values().get()

    change = {"schedule_interval": "0 7 * * *", "timezone": "Asia/Tokyo"}
    answer = make_client().post(f"/api/v1/pipeline_schedules/{schedule.pk}/plan", change)

    body = answer.json()
    assert answer.status_code == 200
    assert [len(body[name]) for name in ("before", "after", "added", "removed", "kept")] == [14, 14, 14, 14, 0]
    assert body["now"] == "Saving starts nothing; it takes effect from now on."
    assert set(body["after"][0]) == {"utc", "local", "note"}
    assert PipelineSchedule.objects.values().get() == before


def test_the_api_plans_a_new_trigger_and_keeps_none() -> None:
    make_pipeline()
    body = {"pipeline_uuid": "etl", "name": "new", "schedule_interval": "0 6 * * *", "status": "active"}

    answer = make_client().post("/api/v1/pipeline_schedules/plan", body)

    assert (answer.status_code, len(answer.json()["added"]), answer.json()["collisions"]) == (200, 14, [])
    assert not PipelineSchedule.objects.exists()


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"schedule_interval": "61 * * * *"}, "/schedule_interval"),
        ({"timezone": "Europe/Berln"}, "/timezone"),
        ({"name": "../x"}, "/name"),
        ({"settings": {"timeout": -1}}, "/settings/timeout"),
        ({"end_time": "2025-01-01T00:00:00Z", "start_time": "2026-01-01T00:00:00Z"}, "/end_time"),
        ({"staus": "active"}, "/staus"),
        ({"pipeline_uuid": "etl"}, "/pipeline_uuid"),
    ],
)
def test_the_api_refuses_a_plan_of_what_could_not_be_saved(body: dict[str, Any], pointer: str) -> None:
    answer = make_client().post(f"/api/v1/pipeline_schedules/{make_schedule().pk}/plan", body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, pointer)


def test_a_plan_for_what_is_not_there_is_404() -> None:
    body = {"pipeline_uuid": "nope", "name": "new", "schedule_interval": "@daily"}

    assert make_client().post("/api/v1/pipeline_schedules/99/plan", {}).status_code == 404
    assert make_client().post("/api/v1/pipeline_schedules/plan", body).status_code == 404
