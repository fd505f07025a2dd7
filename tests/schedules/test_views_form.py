"""The form of a trigger: what is right is kept, what is wrong is told beside its field and nothing is kept."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from pipelines.models import Pipeline
from schedules.models import PipelineSchedule, Source
from tests.factories import make_pipeline, make_schedule, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipeline")]

RIGHT = {
    "pipeline": "etl",
    "name": "nightly",
    "schedule_type": "time",
    "schedule_interval": "0 6 * * 1-5",
    "timezone": "Europe/Berlin",
    "is_active": "on",
}


@pytest.fixture
def pipeline() -> Pipeline:
    return make_pipeline()


def create(page: Client, **fields: str) -> Any:
    return page.post("/schedules/new/", RIGHT | fields)


def error_of(answer: Any, field: str) -> str:
    assert answer.status_code == 422
    return " ".join(answer.context["form"].errors[field])


# --- new --------------------------------------------------------------------------------------------------------------


def test_a_new_trigger_is_kept_and_planned(page: Client) -> None:
    answer = create(
        page,
        variables='{"country": "DE"}',
        description="In the morning.",
        skip_if_previous_running="on",
        pipeline_run_limit="2",
        timeout="600",
        timeout_status="cancelled",
        sla="3600",
    )

    schedule = PipelineSchedule.objects.get()
    assert answer["Location"] == f"/schedules/{schedule.pk}/"
    assert (schedule.name, schedule.timezone, schedule.source) == ("nightly", "Europe/Berlin", Source.UI)
    assert schedule.variables == {"country": "DE"}
    assert schedule.sla == timedelta(hours=1)
    assert schedule.settings == {
        "skip_if_previous_running": True,
        "pipeline_run_limit": 2,
        "timeout": 600,
        "timeout_status": "cancelled",
    }
    assert schedule.is_active
    assert schedule.next_due_at is not None


def test_a_trigger_may_be_born_paused(page: Client) -> None:
    page.post("/schedules/new/", {name: value for name, value in RIGHT.items() if name != "is_active"})

    assert not PipelineSchedule.objects.get().is_active


def test_an_api_trigger_shows_its_token_once(page: Client) -> None:
    answer = create(page, schedule_type="api", schedule_interval="")

    schedule = PipelineSchedule.objects.get()
    assert schedule.token_matches(answer.context["token"])
    assert f"/api/pipeline_schedules/{schedule.pk}/pipeline_runs" in text_of(answer)


def test_the_page_of_a_pipeline_chooses_it_in_the_form(page: Client) -> None:
    make_pipeline("weather")

    assert '<option value="weather" selected>' in text_of(page.get("/schedules/new/?pipeline=weather"))


def test_times_are_read_in_the_zone_of_the_trigger(page: Client) -> None:
    create(page, start_time="2025-07-01T06:00", end_time="2025-12-01T06:00:30")

    schedule = PipelineSchedule.objects.get()
    assert schedule.start_time == datetime(2025, 7, 1, 4, tzinfo=UTC)
    assert schedule.end_time == datetime(2025, 12, 1, 5, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("schedule_interval", "61 * * * *", "61 is outside 0–59"),
        ("schedule_interval", "0 0 31 2 *", "never fires"),
        ("schedule_interval", "every now and then", ""),
        ("schedule_interval", "", ""),
        ("timezone", "Europe/Berln", "Unknown time zone. Did you mean Europe/Berlin?"),
        ("timezone", "", "Use an IANA name such as Europe/Berlin"),
        ("name", "", "Name: 1–100 letters, digits, _ - and space."),
        ("name", "   ", "Name: 1–100 letters, digits, _ - and space."),
        ("name", "x" * 300, "Name: 1–100 letters, digits, _ - and space."),
        ("name", "../../x", "Name: 1–100 letters, digits, _ - and space."),
        ("name", "<b>bold</b>", "Name: 1–100 letters, digits, _ - and space."),
        ("name", "nul\x00", ""),
        ("pipeline", "nope", "There is no pipeline named nope."),
        ("variables", "{", "line 1, column 2"),
        ("variables", "[1]", "must be a JSON object"),
        ("sla", "-5", "SLA must be a whole number of seconds from 1 to 31 536 000."),
        ("sla", "0", "SLA must be a whole number of seconds from 1 to 31 536 000."),
        ("sla", "1e99", "SLA must be a whole number of seconds from 1 to 31 536 000."),
        ("sla", "abc", "SLA must be a whole number of seconds from 1 to 31 536 000."),
        ("pipeline_run_limit", "0", "Limit must be at least 1, or empty for no limit."),
        ("pipeline_run_limit", "-1", "Limit must be at least 1, or empty for no limit."),
        ("timeout", "0", "Time-out must be a whole number of seconds"),
        ("start_time", "yesterday", "Use a date and a time"),
        ("start_time", "2025-03-30T02:30", "02:30 does not exist in Europe/Berlin on that day; use 03:30."),
        ("schedule_type", "moon", "moon"),
    ],
)
def test_a_mistake_is_told_beside_its_field_and_nothing_is_kept(
    page: Client, field: str, value: str, words: str
) -> None:
    answer = create(page, **{field: value})

    assert words in error_of(answer, field)
    assert not PipelineSchedule.objects.exists()


def test_what_was_typed_stays_in_the_form(page: Client) -> None:
    text = text_of(create(page, schedule_interval="61 * * * *", variables='{"kept": 1}', name="kept too"))

    assert 'value="61 * * * *"' in text
    assert "{&quot;kept&quot;: 1}" in text
    assert 'value="kept too"' in text


def test_a_start_after_its_end_is_refused(page: Client) -> None:
    answer = create(page, start_time="2026-01-02T00:00", end_time="2026-01-01T00:00")

    assert "Start must be before end." in error_of(answer, "end_time")


def test_a_second_trigger_of_the_same_name_is_refused(page: Client) -> None:
    make_schedule(name="nightly")

    assert "A trigger named nightly exists already." in error_of(create(page), "name")
    assert PipelineSchedule.objects.count() == 1


# --- change -----------------------------------------------------------------------------------------------------------


def opened(page: Client, schedule: PipelineSchedule) -> dict[str, str]:
    """What a browser sends when the form is opened and saved as it is."""
    form = page.get(f"/schedules/{schedule.pk}/edit/").context["form"]
    values = {name: form[name].value() for name in form.fields}
    data = {name: "on" if value is True else str(value) for name, value in values.items() if value not in (None, False)}
    for name in ("start_time", "end_time"):
        if values[name]:
            data[name] = values[name].isoformat()
    return data


def test_opening_and_saving_changes_nothing(page: Client) -> None:
    schedule = make_schedule(
        timezone="Europe/Berlin",
        start_time=datetime(2025, 7, 1, 4, tzinfo=UTC),
        variables={"a": [1, {"ü": None}]},
        sla=timedelta(minutes=5),
        settings={"retry_config": {"retries": 2}, "timeout": 60, "landing_time_enabled": True},
        description="It runs.",
    )
    fields = ("name", "timezone", "start_time", "variables", "sla", "settings", "description", "is_active")
    before = [getattr(schedule, name) for name in fields]

    answer = page.post(f"/schedules/{schedule.pk}/edit/", opened(page, schedule))

    schedule.refresh_from_db()
    assert answer.status_code == 302
    assert [getattr(schedule, name) for name in fields] == before


def test_a_change_of_the_rule_plans_again(page: Client) -> None:
    schedule = make_schedule(schedule_interval="@yearly")
    schedule.resume(datetime.now(UTC))
    far = schedule.next_due_at

    page.post(f"/schedules/{schedule.pk}/edit/", opened(page, schedule) | {"schedule_interval": "*/5 * * * *"})

    schedule.refresh_from_db()
    assert schedule.next_due_at is not None
    assert far is not None
    assert schedule.next_due_at < far


def test_settings_that_the_form_does_not_know_stay(page: Client) -> None:
    settings = {"invite": ["x"], "retry_config": {"retries": 2, "on": "x"}}
    schedule = make_schedule(settings={**settings, "timeout": 60})

    page.post(f"/schedules/{schedule.pk}/edit/", opened(page, schedule) | {"timeout": ""})

    schedule.refresh_from_db()
    assert schedule.settings == settings


def test_a_form_opened_before_someone_elses_change_overwrites_nothing(page: Client) -> None:
    schedule = make_schedule(name="daily")
    data = opened(page, schedule)
    PipelineSchedule.objects.filter(pk=schedule.pk).update(schedule_interval="@weekly")

    answer = page.post(f"/schedules/{schedule.pk}/edit/", data | {"name": "mine"})

    schedule.refresh_from_db()
    assert answer.status_code == 409
    assert "Someone changed this trigger at" in text_of(answer)
    assert 'value="mine"' in text_of(answer)
    assert (schedule.name, schedule.schedule_interval) == ("daily", "@weekly")


def test_after_reviewing_a_stale_form_can_be_saved(page: Client) -> None:
    schedule = make_schedule(name="daily")
    data = opened(page, schedule)
    PipelineSchedule.objects.filter(pk=schedule.pk).update(description="changed")
    stale = page.post(f"/schedules/{schedule.pk}/edit/", data | {"name": "mine"})

    page.post(f"/schedules/{schedule.pk}/edit/", data | {"name": "mine", "tag": stale.context["form"]["tag"].value()})

    schedule.refresh_from_db()
    assert schedule.name == "mine"


def test_a_firing_does_not_make_a_form_stale(page: Client) -> None:
    schedule = make_schedule()
    data = opened(page, schedule)
    PipelineSchedule.objects.filter(pk=schedule.pk).update(next_due_at=datetime.now(UTC))

    assert page.post(f"/schedules/{schedule.pk}/edit/", data | {"name": "mine"}).status_code == 302
