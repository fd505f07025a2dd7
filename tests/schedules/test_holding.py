"""Held moments: listed, released or dropped one by one or many at once, with a count and a reason."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from pipelines.refusal import Refusal
from runs.models import PipelineRun
from schedules import holding, scheduler
from schedules.models import Decision, Occurrence, PipelineSchedule
from tests.factories import NOON, make_client, make_pipeline, make_schedule, text_of

pytestmark = pytest.mark.django_db

API = "/api/v1/occurrences"


def hold(schedule: PipelineSchedule | None = None, *hours: int, decision: Decision = Decision.HELD) -> list[Occurrence]:
    schedule = schedule or PipelineSchedule.objects.first() or make_schedule()
    return [
        Occurrence.objects.create(
            pipeline=schedule.pipeline,
            schedule=schedule,
            scheduled_for=NOON + timedelta(hours=hour),
            decision=decision,
            reason="Not started in time. Catch-up: hold.",
            expires_at=NOON,
            decided_at=NOON,
        )
        for hour in hours or (0,)
    ]


def decisions() -> list[str]:
    return list(Occurrence.objects.order_by("scheduled_for", "id").values_list("decision", flat=True))


def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr("runs.events.publish_timer", lambda: said.append("timer"))
    return said


# --- the story --------------------------------------------------------------------------------------------------------


def test_what_is_released_waits_for_its_start_and_wakes_the_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    (occurrence,), bells, later = hold(), rung(monkeypatch), NOON + timedelta(days=1)

    assert holding.release(holding.held(), later, "ada", " after the outage ") == 1

    occurrence.refresh_from_db()
    assert (occurrence.decision, occurrence.start_after, occurrence.expires_at) == (Decision.WAITING, None, None)
    assert (occurrence.reason, occurrence.decided_at) == ("Released by ada: after the outage", later)
    assert bells == ["timer"]


def test_what_is_dropped_is_never_run_and_says_why() -> None:
    (occurrence,) = hold()

    assert holding.drop(holding.held(), NOON, "ada") == 1

    occurrence.refresh_from_db()
    assert (occurrence.decision, occurrence.reason) == (Decision.CANCELLED, "Dropped by ada.")


def test_what_the_scheduler_held_after_downtime_runs_when_it_is_released() -> None:
    since = NOON - timedelta(hours=3, minutes=30)
    schedule = make_schedule(
        schedule_interval="30 * * * *",
        settings={"catchup": "hold"},
        last_enabled_at=since - timedelta(days=1),
        decided_until=since,
        next_due_at=NOON - timedelta(hours=2, minutes=30),
    )
    scheduler.tick(NOON)
    assert decisions() == ["held"] * 3
    assert not PipelineRun.objects.exists()

    first, second, third = Occurrence.objects.order_by("scheduled_for")
    holding.release(holding.chosen([first.pk, third.pk]), NOON, "ada")
    holding.drop(holding.chosen([second.pk]), NOON, "ada")
    scheduler.tick(NOON + timedelta(seconds=1))

    assert decisions() == ["started", "cancelled", "started"]
    runs = PipelineRun.objects.filter(trigger_id=schedule.pk).order_by("execution_date")
    assert [run.execution_date for run in runs] == [first.scheduled_for, third.scheduled_for]


@pytest.mark.parametrize("decision", [each for each in Decision if each is not Decision.HELD])
def test_what_is_not_held_is_left_alone(decision: Decision) -> None:
    hold(None, 0, decision=decision)
    before = Occurrence.objects.values().get()

    assert holding.release(Occurrence.objects.all(), NOON, "ada") == 0
    assert holding.drop(Occurrence.objects.all(), NOON, "ada") == 0
    assert Occurrence.objects.values().get() == before


def test_deciding_twice_decides_once() -> None:
    hold(None, 0, 1)

    counts = [holding.release(holding.chosen([each.pk for each in Occurrence.objects.all()]), NOON, "a") for _ in "12"]

    assert counts == [2, 0]


def test_what_is_held_can_be_narrowed() -> None:
    daily, other = make_schedule(name="daily"), make_schedule(make_pipeline("other"), name="nightly")
    hold(daily, 0, 1)
    hold(other, 2)

    def hours(**narrowed: Any) -> list[int]:
        return [each.scheduled_for.hour - 12 for each in holding.matching(**narrowed)]

    assert hours() == [0, 1, 2]
    assert hours(text="NIGHT") == hours(text="other") == hours(pipeline_uuid="other") == [2]
    assert hours(schedule_id=daily.pk) == [0, 1]
    assert hours(since=NOON + timedelta(hours=1)) == [1, 2]
    assert hours(before=NOON + timedelta(hours=1)) == [0]


@pytest.mark.parametrize(
    ("ids", "words"), [([], "No moment is chosen."), (list(range(1, 1002)), "1,001 moments are chosen; the limit is")]
)
def test_none_and_too_many_ids_are_refused(ids: list[int], words: str) -> None:
    with pytest.raises(Refusal, match=words):
        holding.chosen(ids)


@pytest.mark.parametrize("why", ["x" * 301, "nul\x00"])
def test_a_reason_that_cannot_be_kept_is_refused_and_nothing_is_decided(why: str) -> None:
    hold()

    with pytest.raises(Refusal, match="A reason is text of at most 300 characters."):
        holding.drop(holding.held(), NOON, "ada", why)

    assert decisions() == ["held"]


# --- the page ---------------------------------------------------------------------------------------------------------


def send(page: Client, verb: str = "release", **data: Any) -> Any:
    return page.post("/schedules/held/decide/", {"verb": verb, "confirmed": "yes", **data}, follow=True)


def test_nothing_held_says_what_would_be_here(page: Client) -> None:
    assert "Nothing is held." in text_of(page.get("/schedules/held/"))


def test_what_is_held_is_listed_with_its_trigger_and_reason(page: Client) -> None:
    schedule = make_schedule(name="nightly")
    hold(schedule, 0)
    hold(schedule, 1, decision=Decision.MISSED)

    answer = page.get("/schedules/held/")

    assert [each.scheduled_for for each in answer.context["rows"]] == [NOON]
    assert f'href="/schedules/{schedule.pk}/">nightly</a>' in text_of(answer)
    assert "Catch-up: hold." in text_of(answer)


def test_a_longer_list_costs_no_more_queries(
    page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    hold(None, *range(30))

    with django_assert_max_num_queries(7):
        page.get("/schedules/held/")


def test_first_it_is_said_how_many_and_nothing_is_done(page: Client) -> None:
    ids = [each.pk for each in hold(None, 0, 1, 2)]

    answer = page.post("/schedules/held/decide/", {"verb": "drop", "ids": ids[:2]})

    assert "Drop 2 held moments of 1 trigger?" in text_of(answer)
    assert decisions() == ["held"] * 3


@pytest.mark.parametrize(("verb", "decision"), [("release", "waiting"), ("drop", "cancelled")])
def test_those_that_are_ticked_are_decided_when_confirmed(page: Client, verb: str, decision: str) -> None:
    ids = [each.pk for each in hold(None, 0, 1, 2)]

    answer = send(page, verb, ids=ids[:2], reason="why not")

    assert decisions() == [decision, decision, "held"]
    assert "by ada: why not" in Occurrence.objects.get(pk=ids[0]).reason
    assert "2 moments" in text_of(answer)


def test_all_that_fit_the_filter_are_decided(page: Client) -> None:
    daily, other = make_schedule(name="daily"), make_schedule(name="other")
    hold(daily, *range(5))
    hold(other, 5)

    send(page, which="all", schedule=str(daily.pk))
    assert decisions() == ["waiting"] * 5 + ["held"]

    send(page, which="all", q="oth")
    assert decisions() == ["waiting"] * 6


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"verb": "explode", "ids": ["1"]}, "Choose whether to release or to drop them."),
        ({}, "No moment is chosen."),
        ({"ids": ["x", "-1", "9" * 30]}, "No moment is chosen."),
        ({"ids": ["4711"]}, "None of these is held any more."),
        ({"which": "all", "q": "\x00nothing"}, "None of these is held any more."),
        ({"which": "all", "reason": "x" * 301}, "at most 300 characters"),
    ],
)
def test_what_makes_no_sense_decides_nothing(page: Client, data: dict[str, Any], words: str) -> None:
    hold()

    answer = send(page, **data)

    assert words in text_of(answer)
    assert decisions() == ["held"]


def test_the_schedules_and_the_dashboard_say_how_many_are_held(page: Client) -> None:
    assert "/schedules/held/" not in text_of(page.get("/schedules/")) + text_of(page.get("/"))
    hold(None, 0, 1, 2)

    assert "3 held" in text_of(page.get("/schedules/"))
    assert "3 moments held" in text_of(page.get("/"))


# --- the API ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "decision"), [("release", "waiting"), ("drop", "cancelled")])
def test_the_api_decides_one(ada: User, verb: str, decision: str) -> None:
    (occurrence,) = hold()

    answer = make_client(ada).post(f"{API}/{occurrence.pk}/{verb}", {"reason": "tested"})

    assert (answer.status_code, answer.json()["decision"]) == (200, decision)
    assert answer.json()["reason"].endswith("by ada: tested")
    assert datetime.fromisoformat(answer.json()["decided_at"]) <= timezone.now()


def test_what_is_not_held_is_a_conflict() -> None:
    (occurrence,) = hold(None, 0, decision=Decision.MISSED)

    answer = make_client().post(f"{API}/{occurrence.pk}/release", {})

    assert answer.status_code == 409
    assert answer.json()["detail"] == f"Occurrence {occurrence.pk} is not held: it is missed."
    assert decisions() == ["missed"]


def test_a_dry_run_only_counts() -> None:
    hold(None, *range(4))

    answer = make_client().post(f"{API}/bulk", {"verb": "drop", "filter": {}, "dry_run": True})

    assert answer.json() == {"count": 4, "dry_run": True}
    assert decisions() == ["held"] * 4


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        ({"filter": {}}, 0),
        ({"filter": {"scheduled_for__gte": "2025-03-02T14:00:00Z"}}, 2),
        ({"filter": {"scheduled_for__lt": "2025-03-02T14:00:00Z", "q": "daily", "pipeline_uuid": "etl"}}, 2),
        ({"filter": {"pipeline_schedule_id": 4711}}, 4),
        ({"ids": [4711]}, 4),
    ],
)
def test_many_are_decided_by_filter_or_ids(wanted: dict[str, Any], left: int) -> None:
    hold(None, *range(4))

    answer = make_client().post(f"{API}/bulk", {"verb": "release", **wanted})

    assert answer.json() == {"count": 4 - left, "dry_run": False}
    assert decisions().count("held") == left


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "verb"),
        ({"verb": "release"}, "ids"),
        ({"verb": "release", "ids": [1], "filter": {}}, "ids"),
        ({"verb": "release", "ids": []}, "ids"),
        ({"verb": "explode", "filter": {}}, "verb"),
        ({"verb": "release", "ids": ["1"]}, "ids.0"),
        ({"verb": "release", "ids": list(range(1, 1002))}, "ids"),
        ({"verb": "release", "filter": {"decision": "missed"}}, "filter.decision"),
        ({"verb": "release", "filter": {"scheduled_for__gte": "today"}}, "filter.scheduled_for__gte"),
        ({"verb": "release", "filter": {}, "dry_run": "yes"}, "dry_run"),
        ({"verb": "release", "filter": {}, "reason": "x" * 301}, "reason"),
        ({"verb": "release", "filter": {}, "limit": 3}, "limit"),
    ],
)
def test_a_wrong_bulk_is_refused_naming_the_field_and_decides_nothing(body: dict[str, Any], field: str) -> None:
    hold()

    answer = make_client().post(f"{API}/bulk", body)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] in (field, field.partition(".")[0])
    assert decisions() == ["held"]
