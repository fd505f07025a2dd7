"""Every setting of a trigger on its form: kept as it should be, and refused beside its field when it is wrong."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.http import QueryDict
from django.test import Client
from django.utils.http import urlencode

from pipelines.models import Pipeline
from schedules.days.calendars import Calendar
from schedules.forms import ScheduleForm
from schedules.models import PipelineSchedule, ScheduleType
from schedules.pages.form_settings import PARTS, SIMPLE, settings_of
from schedules.pages.setting_fields import GROUPS, SettingsFields
from schedules.policies import READERS
from tests.factories import make_client, make_pipeline, make_schedule, text_of
from tests.schedules.test_views_form import RIGHT, create, error_of, opened

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("pipeline")]


@pytest.fixture
def pipeline() -> Pipeline:
    return make_pipeline()


# --- right ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "settings"),
    [
        ({"overlap": "wait_one", "priority": "-5"}, {"overlap": "wait_one", "priority": -5}),
        ({"run_limit_by_variable": "customer: 1, region=2"}, {"run_limit_by_variable": {"customer": 1, "region": 2}}),
        ({"run_limit_by_variable": "customer"}, {"run_limit_by_variable": {"customer": 1}}),
        ({"timeout": "90 min", "timeout_status": "cancelled"}, {"timeout": 5400, "timeout_status": "cancelled"}),
        ({"timeout": "90"}, {"timeout": 90}),
        (
            {"retries": "3", "retry_delay": "10 s", "retry_max_delay": "2 min", "retry_steady": "on"},
            {"retry_config": {"retries": 3, "delay": 10, "max_delay": 120, "exponential_backoff": False}},
        ),
        (
            {"catchup": "all", "catchup_max": "5", "catchup_window": "2 h", "start_deadline": "30 min"},
            {"catchup": "all", "catchup_max": 5, "catchup_window": 7200, "start_deadline": 1800},
        ),
        ({"stop_after_failures": "3", "jitter": "5 min"}, {"stop_after_failures": 3, "jitter": 300}),
        ({"active_hours": " 05:00–22:00 "}, {"active_hours": "05:00–22:00"}),
        (
            {"landing_time_enabled": "on", "landing_quantile": "0.5", "landing_runs": "7"},
            {"landing_time_enabled": True, "landing_quantile": 0.5, "landing_runs": 7},
        ),
        ({"dst_missing": "skipped", "dst_repeated": "both"}, {"dst_missing": "skipped", "dst_repeated": "both"}),
        ({"catchup": "latest", "catchup_window": "24 h", "priority": "0", "jitter": "0", "landing_runs": "20"}, {}),
    ],
)
def test_a_setting_is_kept_as_the_api_would_have_it(
    page: Client, typed: dict[str, str], settings: dict[str, Any]
) -> None:
    assert create(page, **typed).status_code == 302

    assert PipelineSchedule.objects.get().settings == settings


def test_tags_are_words_with_commas(page: Client) -> None:
    create(page, tags=" finance, daily ,, finance")

    assert PipelineSchedule.objects.get().tags == ["finance", "daily"]


def test_a_trigger_follows_other_pipelines(page: Client) -> None:
    for uuid in ("extract", "load"):
        make_pipeline(uuid)

    page.post(
        "/schedules/new/",
        RIGHT
        | {
            "schedule_type": "event",
            "after_pipelines": ["extract", "load"],
            "after_match": "all",
            "after_on": "finished",
        },
    )

    schedule = PipelineSchedule.objects.get()
    assert (schedule.schedule_type, schedule.schedule_interval) == (ScheduleType.EVENT, "")
    assert schedule.settings == {"after": {"pipelines": ["extract", "load"], "match": "all", "on": "finished"}}


def test_what_a_time_trigger_would_follow_is_not_kept(page: Client) -> None:
    create(page, after_pipelines="etl")

    assert PipelineSchedule.objects.get().settings == {}


EVERYTHING = {
    "skip_if_previous_running": True,
    "overlap": "skip",
    "allow_blocks_to_fail": True,
    "create_initial_pipeline_run": True,
    "pipeline_run_limit": 3,
    "on_pipeline_run_limit_reached": "wait",
    "run_limit_by_variable": {"customer": 1, "the region": 2},
    "priority": -5,
    "timeout": 5400,
    "timeout_status": "cancelled",
    "retry_config": {"retries": 2, "delay": 0.5, "max_delay": 60, "exponential_backoff": True, "other": [1]},
    "catchup": "hold",
    "catchup_max": 100,
    "catchup_window": 86_400,
    "start_deadline": 3600.0,
    "stop_after_failures": 3,
    "jitter": 0,
    "active_hours": "22-06",
    "on_calendar_hit": "next_business_day",
    "landing_time_enabled": True,
    "landing_quantile": 0.95,
    "landing_runs": 50,
    "dst_missing": "at_next_valid",
    "dst_repeated": "both",
    "not_ours": {"a": None},
}


def test_opening_and_saving_changes_no_setting(page: Client) -> None:
    schedule = make_schedule(settings=EVERYTHING, tags=["a", "b"], timezone="Europe/Berlin")
    stale = PipelineSchedule.objects.values().get()

    answer = page.post(f"/schedules/{schedule.pk}/edit/", opened(page, schedule))

    assert answer.status_code == 302
    assert PipelineSchedule.objects.values().get() == stale


def test_opening_and_saving_changes_no_chain(page: Client) -> None:
    make_pipeline("extract")
    after = {"pipelines": ["extract", "gone"], "on": "failed"}
    schedule = make_schedule(schedule_type=ScheduleType.EVENT, schedule_interval="", settings={"after": after})
    data: dict[str, Any] = opened(page, schedule) | {"after_pipelines": ["extract", "gone"]}

    page.post(f"/schedules/{schedule.pk}/edit/", data)

    schedule.refresh_from_db()
    assert schedule.settings == {"after": after}


def test_every_setting_is_on_the_form_and_every_field_is_shown(page: Client) -> None:
    text = text_of(page.get("/schedules/new/"))

    fields = {*SIMPLE, *PARTS["retry_config"].values(), *PARTS["after"].values()}
    assert {*SIMPLE, *PARTS} == set(READERS)
    assert fields <= set(SettingsFields.base_fields)
    assert [name for name in SettingsFields.base_fields if text.count(f'name="{name}"') != 1] == []


def test_every_setting_is_explained_in_the_documentation() -> None:
    table = (Path(settings.BASE_DIR) / "docs/schedules.md").read_text().partition("## Settings")[2]

    assert [name for name in READERS if f"`{name}`" not in table.partition("\n## ")[0]] == []


def test_names_of_calendars_are_suggested(page: Client) -> None:
    Calendar.objects.create(name="de_holidays", kind="holidays", country="DE")

    assert '<option value="de_holidays">' in text_of(page.get("/schedules/new/"))


def test_hours_in_which_it_never_fires_are_told_beside_their_field(page: Client) -> None:
    assert "between 07:00 and 22:00" in error_of(create(page, active_hours="07:00-22:00"), "active_hours")
    assert not PipelineSchedule.objects.exists()


def test_an_unknown_calendar_is_told_beside_its_field(page: Client) -> None:
    assert "de_holidays" in error_of(create(page, calendar="de_holidays"), "calendar")
    assert not PipelineSchedule.objects.exists()


def test_what_is_emptied_falls_back_to_its_default() -> None:
    typed = dict.fromkeys(SettingsFields.base_fields)

    assert settings_of(typed, EVERYTHING) == {"retry_config": {"other": [1], "exponential_backoff": True}} | {
        "not_ours": {"a": None}
    }


# --- wrong ------------------------------------------------------------------------------------------------------------

SECONDS = "a number of seconds from 1 to 31 536 000"
WRONG = [
    ("overlap", "moon", "moon is none of: allow, skip, wait_one, wait_all, cancel_other."),
    ("priority", "1001", "a whole number from -1000 to 1000"),
    ("priority", "0.5", "a whole number from -1000 to 1000"),
    ("priority", "high", "a whole number from -1000 to 1000; 'high' is not."),
    ("priority", "9" * 30, "a whole number from -1000 to 1000"),
    ("pipeline_run_limit", "0", "Limit must be at least 1, or empty for no limit."),
    ("pipeline_run_limit", "1.5", "Limit must be at least 1, or empty for no limit."),
    ("pipeline_run_limit", "two", "Limit must be at least 1, or empty for no limit."),
    ("on_pipeline_run_limit_reached", "moon", "none of: skip, wait."),
    ("run_limit_by_variable", "customer: 0", "a whole number of at least 1"),
    ("run_limit_by_variable", "customer: many", "a whole number of at least 1"),
    ("run_limit_by_variable", ": 1", "text of 1 to 500 characters"),
    ("run_limit_by_variable", "a: 1, a: 2", "a is named twice."),
    ("timeout", "0", "Time-out must be a whole number of seconds from 1 to 31 536 000."),
    ("timeout", "an hour", "Time-out must be a whole number of seconds"),
    ("timeout", "2 years", "Time-out must be a whole number of seconds"),
    ("timeout_status", "completed", "none of: failed, cancelled."),
    ("retries", "-1", "a whole number from 0 to 1000"),
    ("retries", "1001", "a whole number from 0 to 1000"),
    ("retries", "x", "a whole number from 0 to 1000"),
    ("retry_delay", "-1", "a number of seconds from 0 to 31 536 000"),
    ("retry_delay", "soon", "a number of seconds from 0 to 31 536 000"),
    ("retry_max_delay", "400 d", "a number of seconds from 0 to 31 536 000"),
    ("catchup", "some", "none of: latest, all, none, hold."),
    ("catchup_max", "0", "a whole number from 1 to 1000"),
    ("catchup_max", "1001", "a whole number from 1 to 1000"),
    ("catchup_window", "0", SECONDS),
    ("catchup_window", "long", SECONDS),
    ("start_deadline", "-5", SECONDS),
    ("start_deadline", "1e99", SECONDS),
    ("stop_after_failures", "0", "a whole number from 1 to 1000"),
    ("jitter", "2 d", "a number of seconds from 0 to 86 400"),
    ("jitter", "-1", "a number of seconds from 0 to 86 400"),
    ("active_hours", "07", 'hours such as "07:00-22:00"'),
    ("active_hours", "25:00-26:00", 'hours such as "07:00-22:00"'),
    ("active_hours", "07:00-07:00", 'hours such as "07:00-22:00"'),
    ("active_hours", "nine to five", 'hours such as "07:00-22:00"'),
    ("calendar", "x" * 501, "text of 1 to 500 characters"),
    ("on_calendar_hit", "move", "none of: skip, previous_business_day, next_business_day."),
    ("landing_quantile", "0", "a share from 0.05 to 1, for example 0.9"),
    ("landing_quantile", "90", "a share from 0.05 to 1, for example 0.9"),
    ("landing_quantile", "most", "a share from 0.05 to 1, for example 0.9"),
    ("landing_runs", "0", "a whole number from 1 to 1000"),
    ("dst_missing", "moved", "none of: at_next_valid, skipped."),
    ("dst_repeated", "never", "none of: first, second, both."),
    ("sla", "0.5", "SLA must be a whole number of seconds from 1 to 31 536 000."),
    ("sla", "a while", "SLA must be a whole number of seconds from 1 to 31 536 000."),
    ("tags", ",".join(f"t{number}" for number in range(51)), "At most 50 tags"),
    ("tags", "x" * 101, "each of at most 100 characters"),
    ("timeout", "nul\x00", ""),
    ("after_pipelines", "nope", "There is no pipeline named nope."),
    ("after_on", "started", "none of: completed, failed, finished."),
    ("after_match", "most", "none of: any, all."),
]


@pytest.mark.parametrize(("field", "value", "words"), WRONG)
def test_a_wrong_setting_is_told_beside_its_field(field: str, value: str, words: str) -> None:
    form = ScheduleForm(QueryDict(urlencode(RIGHT | {field: value})), pipelines=["etl"])

    assert not form.is_valid()
    assert words in " ".join(form.errors[field])
    assert form[field].value() == ([value] if field == "after_pipelines" else value)


def test_a_form_with_a_wrong_setting_is_shown_again_and_nothing_is_kept(page: Client) -> None:
    answer = create(page, catchup_window="long")

    assert SECONDS in error_of(answer, "catchup_window")
    assert 'id="id_catchup_window_error"' in text_of(answer)
    assert not PipelineSchedule.objects.exists()


def test_all_that_is_wrong_is_told_at_once_and_kept_in_the_form(page: Client) -> None:
    answer = create(page, timeout="soon", retries="x", jitter="2 d", sla="0")

    assert set(answer.context["form"].errors) == {"timeout", "retries", "jitter", "sla"}
    assert 'value="soon"' in text_of(answer)
    assert 'value="2 d"' in text_of(answer)


def test_settings_that_contradict_each_other_are_refused(page: Client) -> None:
    answer = create(page, skip_if_previous_running="on", overlap="allow")

    assert "beside skip_if_previous_running" in error_of(answer, "overlap")


def test_a_trigger_that_follows_nothing_is_refused(page: Client) -> None:
    answer = create(page, schedule_type="event", schedule_interval="")

    assert "Choose the pipelines whose runs it follows." in error_of(answer, "after_pipelines")


def test_a_wrong_change_leaves_the_trigger_as_it_is(page: Client) -> None:
    schedule = make_schedule(settings=EVERYTHING)
    before = PipelineSchedule.objects.values().get()

    answer = page.post(f"/schedules/{schedule.pk}/edit/", opened(page, schedule) | {"name": "x", "catchup_max": "0"})

    assert answer.status_code == 422
    assert PipelineSchedule.objects.values().get() == before


# --- groups -----------------------------------------------------------------------------------------------------------


def open_groups(answer: Any) -> list[str]:
    return [group.title for group in answer.context["form"].groups() if group.is_open]


def test_a_new_form_is_calm(page: Client) -> None:
    assert open_groups(page.get("/schedules/new/")) == []


@pytest.mark.parametrize(
    ("settings", "title"),
    [
        ({"overlap": "wait_one"}, "Overlap and limits"),
        ({"catchup": "hold"}, "Late moments"),
        ({"active_hours": "07-22"}, "Calendar and hours"),
        ({"dst_repeated": "both"}, "Clock changes"),
        ({"landing_time_enabled": True}, "Finish by"),
        ({"retry_config": {"retries": 2}}, "Failures"),
        ({"retry_config": {"exponential_backoff": False}}, "Failures"),
    ],
)
def test_a_group_opens_when_something_in_it_is_set(page: Client, settings: dict[str, Any], title: str) -> None:
    schedule = make_schedule(settings=settings)

    assert open_groups(page.get(f"/schedules/{schedule.pk}/edit/")) == [title]


def test_a_group_opens_when_something_in_it_is_wrong(page: Client) -> None:
    assert open_groups(create(page, jitter="x")) == ["Calendar and hours"]


def test_every_group_holds_fields_of_the_form() -> None:
    assert {name for _, _, rows in GROUPS for row in rows for name in row} <= set(SettingsFields.base_fields)


# --- the API ----------------------------------------------------------------------------------------------------------

WRONG_IN_JSON: list[tuple[str, Any, str]] = [
    ("skip_if_previous_running", "yes", "true or false"),
    ("overlap", "moon", '"cancel_other"'),
    ("allow_blocks_to_fail", 1, "true or false"),
    ("create_initial_pipeline_run", "on", "true or false"),
    ("pipeline_run_limit", 0, "at least 1"),
    ("pipeline_run_limit", "3", "at least 1"),
    ("pipeline_run_limit", True, "at least 1"),
    ("on_pipeline_run_limit_reached", "queue", '"wait"'),
    ("run_limit_by_variable", {}, "customer: 1"),
    ("run_limit_by_variable", ["customer"], "customer: 1"),
    ("run_limit_by_variable.customer", 0, "at least 1"),
    ("priority", 5000, "-1000 to 1000"),
    ("priority", 1.5, "-1000 to 1000"),
    ("timeout", "1 h", "seconds"),
    ("timeout", 10**30, "seconds"),
    ("timeout_status", "completed", '"failed"'),
    ("retry_config", 3, "retries: 3"),
    ("retry_config.retries", -1, "0 to 1000"),
    ("retry_config.delay", "5", "seconds"),
    ("retry_config.max_delay", -1, "seconds"),
    ("retry_config.exponential_backoff", "no", "true or false"),
    ("catchup", "some", '"latest"'),
    ("catchup_max", 0, "1 to 1000"),
    ("catchup_window", -1, "seconds"),
    ("start_deadline", 0, "seconds"),
    ("stop_after_failures", "3", "1 to 1000"),
    ("jitter", 90_000, "0 to 86 400"),
    ("active_hours", "7 to 9", "07:00-22:00"),
    ("active_hours", 7, "07:00-22:00"),
    ("calendar", 5, "text"),
    ("on_calendar_hit", "move", "next_business_day"),
    ("landing_time_enabled", "true", "true or false"),
    ("landing_quantile", 90, "0.05 to 1"),
    ("landing_runs", 0, "1 to 1000"),
    ("after", ["etl"], "pipelines: [extract]"),
    ("after.pipelines", [], "1 to 50 pipelines"),
    ("after.on", "begun", '"finished"'),
    ("after.match", "most", '"any"'),
    ("dst_missing", "moved", '"skipped"'),
    ("dst_repeated", "never", '"both"'),
]


@pytest.mark.parametrize(("path", "value", "words"), WRONG_IN_JSON)
def test_the_api_points_at_the_wrong_setting_and_changes_nothing(path: str, value: Any, words: str) -> None:
    schedule, (name, _, part) = make_schedule(), path.partition(".")
    before = PipelineSchedule.objects.values().get()
    inner = {"pipelines": ["etl"]} if part and name == "after" else {}

    settings = {name: {**inner, part: value} if part else value}
    answer = make_client().patch(f"/api/v1/pipeline_schedules/{schedule.pk}", {"settings": settings, "name": "x"})

    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["code"]) == (400, "invalid_settings")
    assert error["pointer"] == f"/settings/{path.replace('.', '/')}"
    assert words in error["message"]
    assert PipelineSchedule.objects.values().get() == before


def test_the_api_refuses_a_misspelt_setting_and_keeps_those_of_others() -> None:
    schedule = make_schedule()
    path = f"/api/v1/pipeline_schedules/{schedule.pk}"

    refused = make_client().patch(path, {"settings": {"timout": 5}})
    taken = make_client().patch(path, {"settings": {"team_channel": "#data"}})

    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["pointer"], error["code"]) == (400, "/settings/timout", "unknown_field")
    assert error["message"] == "Unknown setting: timout. Did you mean timeout?"
    assert taken.json()["settings"] == {"team_channel": "#data"}


def test_the_api_names_every_wrong_setting_at_once() -> None:
    settings = {"timeout": 0, "retry_config": {"retries": -1}, "priority": 1}

    answer = make_client().patch(f"/api/v1/pipeline_schedules/{make_schedule().pk}", {"settings": settings})

    pointers = [each["pointer"] for each in answer.json()["errors"]]
    assert pointers == ["/settings/timeout", "/settings/retry_config/retries"]


def test_null_stands_for_the_default() -> None:
    answer = make_client().patch(
        f"/api/v1/pipeline_schedules/{make_schedule().pk}", {"settings": {"timeout": None, "overlap": None}}
    )

    assert answer.status_code == 200
