"""Pausing for a while: one trigger or many, on the pages and in the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from pipelines.refusal import Refusal
from schedules import scheduler
from schedules.models import PipelineSchedule, Source
from schedules.pages.pauses import check_until, read_until
from tests.factories import NOON, make_client, make_pipeline, make_schedule, text_of

pytestmark = pytest.mark.django_db


def paused(schedule: PipelineSchedule) -> tuple[bool, datetime | None]:
    schedule.refresh_from_db()
    return schedule.is_active, schedule.paused_until


# --- how long ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "typed", "zone", "until"),
    [
        ("", "", "UTC", None),
        ("hour", "", "UTC", datetime(2025, 3, 2, 13, tzinfo=UTC)),
        ("morning", "", "UTC", datetime(2025, 3, 3, 8, tzinfo=UTC)),
        ("morning", "", "Asia/Tokyo", datetime(2025, 3, 2, 23, tzinfo=UTC)),
        ("morning", "", "Pacific/Honolulu", datetime(2025, 3, 3, 18, tzinfo=UTC)),
        ("time", "2025-03-02T18:30", "Europe/Berlin", datetime(2025, 3, 2, 17, 30, tzinfo=UTC)),
        ("time", "2025-03-30T02:30", "Europe/Berlin", datetime(2025, 3, 30, 1, 30, tzinfo=UTC)),
    ],
)
def test_a_pause_ends_as_its_button_says(how: str, typed: str, zone: str, until: datetime | None) -> None:
    assert read_until(how, typed, PipelineSchedule(timezone=zone), NOON) == until


@pytest.mark.parametrize(
    ("how", "typed", "words"),
    [
        ("time", "2025-03-02T11:00", "A pause ends in the future. For example 2025-03-02T13:00Z."),
        ("time", "2025-03-02T12:00", "A pause ends in the future."),
        ("time", "2099-01-01T00:00", "lasts at most 366 days"),
        ("time", "", "Until when?"),
        ("time", "soon", "Use a date and a time"),
        ("decade", "", "Choose how long it is paused."),
    ],
)
def test_an_end_that_makes_no_sense_is_refused(how: str, typed: str, words: str) -> None:
    with pytest.raises(Refusal, match=words):
        read_until(how, typed, PipelineSchedule(timezone="UTC"), NOON)


def test_an_end_within_a_year_is_taken_as_it_is() -> None:
    until = NOON + timedelta(days=366)

    assert check_until(until, NOON) == until
    assert check_until(None, NOON) is None


# --- one trigger ------------------------------------------------------------------------------------------------------


def test_a_trigger_is_paused_for_an_hour_and_comes_back_by_itself(page: Client) -> None:
    schedule, before = make_schedule(), timezone.now()

    page.post(f"/schedules/{schedule.pk}/pause/", {"how": "hour"})

    is_active, until = paused(schedule)
    assert not is_active
    assert until is not None
    assert before + timedelta(hours=1) <= until <= timezone.now() + timedelta(hours=1)
    assert "Paused until" in text_of(page.get(f"/schedules/{schedule.pk}/"))
    assert "resumes" in text_of(page.get("/schedules/"))

    scheduler.tick(until)
    assert paused(schedule) == (True, None)


def test_a_pause_with_an_end_in_the_past_pauses_nothing(page: Client) -> None:
    schedule = make_schedule()

    answer = page.post(f"/schedules/{schedule.pk}/pause/", {"how": "time", "until": "2020-01-01T00:00"}, follow=True)

    assert "A pause ends in the future." in text_of(answer)
    assert paused(schedule) == (True, None)


def test_the_api_pauses_until_a_moment() -> None:
    schedule, until = make_schedule(), timezone.now().replace(microsecond=0) + timedelta(days=1)

    answer = make_client().post(f"/api/v1/pipeline_schedules/{schedule.pk}/pause", {"until": until.isoformat()})

    assert (answer.status_code, answer.json()["status"]) == (200, "inactive")
    assert datetime.fromisoformat(answer.json()["paused_until"]) == until
    assert paused(schedule) == (False, until)


@pytest.mark.parametrize(
    "body",
    [
        {"until": "2020-01-01T00:00:00Z"},
        {"until": "2999-01-01T00:00:00Z"},
        {"until": "9999-12-31T23:59:59Z"},
        {"until": "tomorrow"},
        {"until": "2025-03-02T06:00"},
        {"until": 3600},
        {"until": True},
        {"for": 3600},
    ],
)
def test_the_api_refuses_an_end_that_makes_no_sense(body: dict[str, Any]) -> None:
    schedule = make_schedule()

    answer = make_client().post(f"/api/v1/pipeline_schedules/{schedule.pk}/pause", body)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, f"/{next(iter(body))}")
    assert paused(schedule) == (True, None)


@pytest.mark.parametrize("body", [None, {}, {"until": None}])
def test_the_api_pauses_without_an_end(body: Any) -> None:
    schedule = make_schedule()

    assert make_client().post(f"/api/v1/pipeline_schedules/{schedule.pk}/pause", body).status_code == 200
    assert paused(schedule) == (False, None)


# --- many -------------------------------------------------------------------------------------------------------------


def send(page: Client, verb: str, **data: Any) -> Any:
    return page.post("/schedules/bulk/", {"verb": verb, "confirmed": "yes", **data}, follow=True)


def active() -> list[str]:
    return sorted(PipelineSchedule.objects.active().values_list("name", flat=True))


def test_first_it_is_said_how_many_and_nothing_is_done(page: Client) -> None:
    schedules = [make_schedule(name=name) for name in ("a", "b", "c")]

    answer = page.post("/schedules/bulk/", {"verb": "pause", "ids": [schedules[0].pk, schedules[1].pk]})

    assert "Pause 2 triggers?" in text_of(answer)
    assert active() == ["a", "b", "c"]


def test_those_that_are_ticked_are_paused_and_resumed(page: Client) -> None:
    ids = [make_schedule(name=name).pk for name in ("a", "b", "c")]

    said = text_of(send(page, "pause", ids=ids[:2], how="hour"))
    assert (active(), "2 triggers paused." in said) == (["c"], True)
    assert PipelineSchedule.objects.filter(paused_until__isnull=False).count() == 2

    said = text_of(send(page, "resume", ids=ids))
    assert (active(), "2 triggers resumed." in said) == (["a", "b", "c"], True)
    assert not PipelineSchedule.objects.filter(paused_until__isnull=False).exists()


def test_all_that_fit_the_filter_are_paused(page: Client) -> None:
    make_schedule(name="daily")
    make_schedule(make_pipeline("other"), name="nightly")

    send(page, "pause", which="all", q="other")
    assert active() == ["daily"]

    send(page, "resume", which="all", state="paused")
    assert active() == ["daily", "nightly"]


@pytest.mark.parametrize(
    ("verb", "data", "words"),
    [
        ("explode", {"ids": ["1"]}, "Choose whether to pause or to resume them."),
        ("pause", {}, "None of these triggers would change."),
        ("pause", {"ids": ["x", "9" * 30]}, "None of these triggers would change."),
        ("resume", {"which": "all"}, "None of these triggers would change."),
        ("pause", {"which": "all", "how": "time", "until": "2020-01-01T00:00"}, "A pause ends in the future."),
        ("pause", {"which": "all", "how": "decade"}, "Choose how long it is paused."),
    ],
)
def test_what_makes_no_sense_changes_nothing(page: Client, verb: str, data: dict[str, Any], words: str) -> None:
    make_schedule(name="daily")

    assert words in text_of(send(page, verb, **data))
    assert active() == ["daily"]


def test_too_many_at_once_are_refused(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schedules.pages.bulk_pages.MOST", 1)
    make_schedule(name="a")
    make_schedule(name="b")

    assert "2 triggers are chosen; the limit is 1." in text_of(send(page, "pause", which="all"))
    assert active() == ["a", "b"]


def test_triggers_in_code_are_paused_with_the_others(page: Client) -> None:
    make_schedule(name="a", source=Source.CODE)
    make_schedule(name="b")

    send(page, "pause", which="all", how="hour")

    assert active() == []
