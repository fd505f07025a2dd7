"""Every field of the API of triggers, backfills, calendars and windows, wrong in every way: the field is named, nothing
changes, nothing hangs."""

import json
import time
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.http import HttpResponse

from pipelines.refusal import Refusal
from runs.models import PipelineRun
from schedules.models import Backfill, Calendar, MaintenanceWindow, Occurrence, PipelineSchedule
from schedules.policies import READERS
from tests.factories import JSONClient, make_client, make_pipeline, make_schedule

pytestmark = pytest.mark.django_db
TABLES = (PipelineSchedule, Occurrence, PipelineRun, Backfill, Calendar, MaintenanceWindow)


def nested(depth: int) -> Any:
    inner: Any = 1
    for _ in range(depth):
        inner = {"a": inner}
    return inner


def but(values: list[Any], *right: Any) -> list[Any]:
    """Return the values without those that a field does take."""
    return [bad for bad in values if not any(type(bad) is type(good) and bad == good for good in right)]


HUGE, NUL, DEEP = "x" * 100_000, "a\x00b", nested(40)
NOTHING_TAKES = [NUL, {"a": NUL}, DEEP, -1.5, 2**64, -(10**30), 1e308, [[]], [None]]
WRONG_TEXT = [*NOTHING_TAKES, HUGE, True, 1, {}, []]
WRONG_WORD = [*WRONG_TEXT, "", "   ", "x", "\u202eevil", "😀", "<script>", "../../x", "２"]
WRONG_MOMENT = [*WRONG_WORD, "2025-02-30T00:00:00Z", "2025-01-01T00:00:00", "10000-01-01T00:00:00Z"]
WRONG_MOMENT += ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "2025-01-01T00:00:00+99:00", "2025-01-01"]
WRONG_NUMBER = [*but(WRONG_WORD, 1), "5", 0, -1, 0.5]
WRONG_FLAG = [*but(WRONG_WORD, True), "true", 0]
WRONG_OBJECT = [NUL, {"a": NUL}, DEEP, HUGE, -1.5, True, [], [{}], "", "{}", 10**30]
WRONG_RULE = [
    *WRONG_WORD,
    "* * * *",
    "* * * * * *",
    "61 * * * *",
    "*/0 * * * *",
    "0-59/99999999999999999999 * * * *",
    "R R * * *",
    "0 0 31 2 *",
    "5-1 * * * *",
    "0 12 * * 1#6",
    "１ * * * *",
    "@reboot",
    "every 0 minutes",
    "every 99999999999 weeks",
    "on ",
    "on 2025-02-30",
    "FREQ=SECONDLY",
    "FREQ=MINUTELY;INTERVAL=0",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31",
    "FREQ=DAILY;COUNT=99999999999999999999",
    "FREQ=DAILY;UNTIL=99999999T000000Z",
]
WRONG_NAME = [*WRONG_TEXT, "", "   ", "x" * 101, "../../x", "\u202eevil", "😀", "<script>", "\ud800"]

TRIGGER = {"pipeline_uuid": "etl", "name": "new", "schedule_type": "time", "schedule_interval": "0 6 * * *"}
TRIGGER_FIELDS: dict[str, list[Any]] = {
    "pipeline_uuid": WRONG_WORD,
    "name": WRONG_NAME,
    "description": WRONG_TEXT,
    "tags": [*WRONG_OBJECT[:-5], {"a": 1}, "x", ["x" * 101], [1], [""], [NUL], ["x"] * 51],
    "schedule_type": [*WRONG_WORD, "cron", "TIME"],
    "schedule_interval": WRONG_RULE,
    "timezone": [*WRONG_WORD, "Europe/Berln", "/etc/passwd", "../UTC", "localtime", "utc"],
    "start_time": WRONG_MOMENT,
    "end_time": WRONG_MOMENT,
    "status": [*WRONG_WORD, "paused", "Active"],
    "variables": WRONG_OBJECT,
    "sla": WRONG_NUMBER,
    "settings": WRONG_OBJECT,
}
FLAGS = ("skip_if_previous_running", "allow_blocks_to_fail", "create_initial_pipeline_run", "landing_time_enabled")
WHOLE = ("pipeline_run_limit", "catchup_max", "landing_runs", "stop_after_failures")
SPANS = ("timeout", "catchup_window", "start_deadline")
SETTINGS: dict[str, list[Any]] = {
    **dict.fromkeys(READERS, WRONG_WORD),
    **dict.fromkeys(FLAGS, WRONG_FLAG),
    **dict.fromkeys(WHOLE, WRONG_NUMBER),
    **dict.fromkeys(SPANS, but(WRONG_NUMBER, 0.5)),
    "priority": [*but(WRONG_WORD, 1), 1001, -1001, 0.5],
    "jitter": [*but(WRONG_WORD, 1), -1, 86_401],
    "landing_quantile": [*but(WRONG_WORD, 1), 0, 1.01, -0.5],
    "calendar": [*WRONG_TEXT, "   ", "nothing", "not", "(" * 200, "weekend and", "\u202eevil", "x;y"],
    "run_limit_by_variable": [*WRONG_WORD, {"": 1}, {"a": 0}, {"a": True}, {"a": "1"}, {str(n): 1 for n in range(11)}],
    "retry_config": [*WRONG_OBJECT, {"retries": -1}, {"retries": 1.5}, {"delay": "5"}, {"exponential_backoff": 1}],
    "after": [*WRONG_WORD, {"pipelines": []}, {"pipelines": ["etl"]}, {"pipelines": "etl"}, {"pipelines": [1]}],
    "active_hours": [*WRONG_WORD, "07-07", "25-26", "07:60-08", "24:01-02", "７-22"],
}

BACKFILL = {"pipeline_uuid": "etl", "start_at": "2025-01-01T00:00:00Z", "end_at": "2025-01-03T00:00:00Z"}
BACKFILL_FIELDS: dict[str, list[Any]] = {
    "pipeline_uuid": WRONG_WORD,
    "pipeline_schedule_id": [*WRONG_NUMBER, 2**63 - 1],
    "name": [*WRONG_TEXT, "x" * 201, "a\nb"],
    "interval_type": [*WRONG_WORD, "days", "fortnight"],
    "interval_units": WRONG_NUMBER,
    "timezone": [*WRONG_WORD, "Europe/Berln"],
    "start_at": [*WRONG_MOMENT, "2125-01-01T00:00:00Z"],
    "end_at": [*WRONG_MOMENT, "2125-01-01T00:00:00Z"],
    "which": [*WRONG_WORD, "none"],
    "newest_first": WRONG_FLAG,
    "run_limit": [*WRONG_NUMBER, 1001],
    "priority": [*but(WRONG_WORD, 1), 1001, -1001, "5"],
    "variables": WRONG_OBJECT,
}
CALENDAR = {"name": "cal", "kind": "dates", "dates": [{"date": "2025-01-01", "name": "x"}]}
CALENDAR_FIELDS: dict[str, list[Any]] = {
    "name": [*WRONG_NAME, "weekend", "and", "A"],
    "kind": [*WRONG_WORD, "date"],
    "description": WRONG_TEXT,
    "dates": [
        *WRONG_OBJECT[:-5],
        [],
        {},
        "x",
        [1],
        [{}],
        [{"date": 1}],
        [{"date": "2025-02-30"}],
        [{"dat": "2025-01-01"}],
    ],
}
WINDOW = {"name": "night", "starts_at": "2025-01-01T00:00:00Z", "ends_at": "2025-01-02T00:00:00Z"}
WINDOW_FIELDS: dict[str, list[Any]] = {
    "name": [bad for bad in WRONG_NAME if not isinstance(bad, str) or bad in (NUL, HUGE, "", "   ", "\ud800")],
    "scope": [*WRONG_WORD, "everything"],
    "effect": [*WRONG_WORD, "none"],
    "starts_at": WRONG_MOMENT,
    "ends_at": [*WRONG_MOMENT, "2024-01-01T00:00:00Z"],
    "timezone": [*WRONG_WORD, "Europe/Berln"],
    "is_active": WRONG_FLAG,
}


@pytest.fixture
def client() -> JSONClient:
    make_pipeline()
    make_schedule(name="there")
    return make_client()


def kept() -> list[Any]:
    return [list(table.objects.order_by("pk").values()) for table in TABLES]


def try_all(field: str, values: list[Any], send: Callable[[Any], HttpResponse]) -> list[str]:
    """Return what is wrong with the answers: not a refusal, another field, too slow."""
    faults = []
    for bad in values:
        begun = time.perf_counter()
        answer = send(bad)
        took, said = time.perf_counter() - begun, json.loads(answer.content)
        pointers = [each["pointer"] for each in said.get("errors", [])]
        named = any(pointer.strip("/").replace("/", ".").startswith(field) for pointer in pointers)
        if not (400 <= answer.status_code < 500 and named and said["detail"]) or took > 5:
            faults.append(f"{ascii(bad)[:60]}: {answer.status_code} {pointers} in {took:.1f} s: {said.get('detail')}")
    return faults


@pytest.mark.parametrize("field", TRIGGER_FIELDS)
def test_a_wrong_field_of_a_trigger_is_named_and_nothing_changes(client: JSONClient, field: str) -> None:
    row, before = PipelineSchedule.objects.get(), kept()

    faults = try_all(
        field, TRIGGER_FIELDS[field], lambda bad: client.post("/api/v1/pipeline_schedules", {**TRIGGER, field: bad})
    )
    changes = [bad for bad in TRIGGER_FIELDS[field] if bad != "" or field in ("name", "schedule_interval")]
    faults += try_all(field, changes, lambda bad: client.patch(f"/api/v1/pipeline_schedules/{row.pk}", {field: bad}))

    assert faults == []
    assert kept() == before


@pytest.mark.parametrize("name", SETTINGS)
def test_a_wrong_setting_of_a_trigger_is_named_and_nothing_changes(client: JSONClient, name: str) -> None:
    before = kept()

    faults = try_all(
        "settings",
        SETTINGS[name],
        lambda bad: client.post("/api/v1/pipeline_schedules", {**TRIGGER, "settings": {name: bad}}),
    )

    assert faults == []
    assert kept() == before


@pytest.mark.parametrize("field", BACKFILL_FIELDS)
def test_a_wrong_field_of_a_backfill_is_named_and_nothing_changes(client: JSONClient, field: str) -> None:
    before = kept()

    faults = try_all(
        field, BACKFILL_FIELDS[field], lambda bad: client.post("/api/v1/backfills", {**BACKFILL, field: bad})
    )

    assert faults == []
    assert kept() == before


@pytest.mark.parametrize("field", CALENDAR_FIELDS)
def test_a_wrong_field_of_a_calendar_is_named_and_nothing_changes(client: JSONClient, field: str) -> None:
    before = kept()

    faults = try_all(
        field, CALENDAR_FIELDS[field], lambda bad: client.post("/api/v1/calendars", {**CALENDAR, field: bad})
    )

    assert faults == []
    assert kept() == before


@pytest.mark.parametrize("field", WINDOW_FIELDS)
def test_a_wrong_field_of_a_window_is_named_and_nothing_changes(client: JSONClient, field: str) -> None:
    before = kept()

    faults = try_all(
        field, WINDOW_FIELDS[field], lambda bad: client.post("/api/v1/maintenance_windows", {**WINDOW, field: bad})
    )

    assert faults == []
    assert kept() == before


# --- what does not go together ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schedule_type": "api"}, "schedule_interval"),
        ({"schedule_type": "event"}, "schedule_interval"),
        ({"settings": {"after": {"pipelines": ["etl"]}}}, "settings.after"),
        (
            {"schedule_type": "event", "schedule_interval": "", "settings": {"after": {"pipelines": ["etl"]}}},
            "settings.after",
        ),
        ({"settings": {"skip_if_previous_running": True, "overlap": "wait_all"}}, "settings.overlap"),
        ({"settings": {"active_hours": "03:00-04:00"}}, "settings.active_hours"),
        ({"start_time": "2025-03-03T00:00:00Z", "end_time": "2025-03-03T00:00:00Z"}, "end_time"),
        ({"settings": {"calendar": "weekend or not weekend"}}, "settings.calendar"),
        ({"settings": {"skip_if_previous_runing": True}}, "settings.skip_if_previous_runing"),
        ({"settings": {"timout": 5}}, "settings.timout"),
        ({"schedule_interval": "30 2 30 3 *", "timezone": "Nowhere/Else"}, "timezone"),
        ({"name": "there"}, "name"),
        ({"id": 1}, "id"),
        ({"decided_until": "2025-01-01T00:00:00Z"}, "decided_until"),
    ],
)
def test_what_contradicts_itself_is_refused_naming_the_field(
    client: JSONClient, changes: dict[str, Any], field: str
) -> None:
    before = kept()

    answer = client.post("/api/v1/pipeline_schedules", {**TRIGGER, **changes})

    assert 400 <= answer.status_code < 500
    assert field in [each["field"] for each in answer.json()["errors"]]
    assert kept() == before


def test_a_setting_of_somebody_else_is_kept(client: JSONClient) -> None:
    answer = client.post("/api/v1/pipeline_schedules", {**TRIGGER, "settings": {"team": "blue"}})

    assert (answer.status_code, answer.json()["settings"]) == (201, {"team": "blue"})


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"NaN", b'{"name": NaN}', b'{"sla": 1e400}', b'{"a": 1, "a": 2}', b"\xff\xfe"]
)
@pytest.mark.parametrize("path", ["pipeline_schedules", "backfills", "calendars", "maintenance_windows"])
def test_a_body_that_is_no_json_object_is_refused(client: JSONClient, path: str, body: bytes) -> None:
    before = kept()

    answer = client.generic("POST", f"/api/v1/{path}", body, content_type="application/json")

    assert answer.status_code == 400
    assert answer.json()["detail"]
    assert kept() == before


# --- commands ---------------------------------------------------------------------------------------------------------

COMMANDS = [
    ("preview_schedule", "61 * * * *"),
    ("preview_schedule", ""),
    ("preview_schedule", "x" * 10_000),
    ("preview_schedule", "0 0 31 2 *"),
    ("preview_schedule", "@daily", "--timezone", "Europe/Berln"),
    ("preview_schedule", "@daily", "--timezone", "../../etc/passwd"),
    ("preview_schedule", "@daily", "--from", "2025-02-30"),
    ("preview_schedule", "@daily", "--from", "9999-12-31T23:59:59Z"),
    ("preview_schedule", "@daily", "--count", "0"),
    ("preview_schedule", "@daily", "--count", "99999999999999999999"),
    ("backfill", "etl", "--start", "2025-13-01", "--end", "2025-01-02"),
    ("backfill", "etl", "--start", "2025-01-02", "--end", "2025-01-01"),
    ("backfill", "etl", "--start", "0001-01-01", "--end", "2025-01-01"),
    ("backfill", "etl", "--start", "1970-01-01", "--end", "2025-01-01", "--interval", "second"),
    ("backfill", "etl", "--start", "2025-01-01", "--end", "2125-01-01"),
    ("backfill", "etl", "--start", "2025-01-01", "--end", "2025-01-02", "--interval", "fortnight"),
    ("backfill", "etl", "--start", "2025-01-01", "--end", "2025-01-02", "--limit", "0"),
    ("backfill", "nothing", "--start", "2025-01-01", "--end", "2025-01-02"),
    ("apply_triggers", "nothing"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_refuses_in_words_and_changes_nothing(client: JSONClient, command: tuple[str, ...]) -> None:
    before, begun = kept(), time.perf_counter()

    with pytest.raises((Refusal, SystemExit)) as caught:
        call_command(*command, stdout=StringIO(), stderr=StringIO())

    assert isinstance(caught.value, Refusal) or caught.value.code == 2
    assert time.perf_counter() - begun < 5
    assert kept() == before
