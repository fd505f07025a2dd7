"""Calendars and maintenance windows over the API: written, changed, deleted, and what is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest

from schedules.days import calendar_changes
from schedules.days.calendars import Calendar
from schedules.days.maintenance import MaintenanceWindow
from tests.factories import make_client, make_pipeline, make_schedule

pytestmark = pytest.mark.django_db
CALENDARS, WINDOWS = "/api/v1/calendars", "/api/v1/maintenance_windows"
HOLIDAYS = {"name": "de_holidays", "kind": "holidays", "country": "DE"}
UPGRADE = {"name": "upgrade", "starts_at": "2026-03-01T22:00:00Z", "ends_at": "2026-03-02T00:00:00Z"}
WEEKLY = {"name": "weekly", "recurrence": "0 22 * * 6", "duration": 14_400, "timezone": "Europe/Berlin"}


def post(path: str, body: Any) -> Any:
    return make_client().post(path, body)


def fields_of(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.content
    return [error["field"] for error in answer.json()["errors"]]


def test_a_calendar_is_written_read_changed_and_deleted() -> None:
    client = make_client()
    made = client.post(CALENDARS, HOLIDAYS)
    address = f"{CALENDARS}/{made.json()['id']}"

    changed = client.patch(address, {"subdivision": "BY"}, headers={"If-Match": made["ETag"]})
    listed = client.get(CALENDARS, {"kind": "holidays"}).json()["results"]
    stale = client.delete(address, headers={"If-Match": made["ETag"]})
    gone = client.delete(address, headers={"If-Match": changed["ETag"]})

    assert (made.status_code, changed.status_code, stale.status_code, gone.status_code) == (201, 200, 412, 204)
    assert listed[0]["summary"] == "public holidays of DE-BY"
    assert client.get(address).status_code == 404


def test_the_days_of_a_calendar_are_told_with_their_names() -> None:
    client = make_client()
    address = f"{CALENDARS}/{client.post(CALENDARS, HOLIDAYS).json()['id']}/days"

    days = client.get(address, {"from": "2025-12-24", "until": "2025-12-26"}).json()["days"]

    assert days == [
        {"date": "2025-12-25", "name": "Christmas Day"},
        {"date": "2025-12-26", "name": "Second Day of Christmas"},
    ]
    assert client.get(address).json()["days"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"from": "Christmas"}, "from"),
        ({"from": "2025-02-30"}, "from"),
        ({"from": "9999-01-01"}, "from"),
        ({"from": "2025-12-24", "until": "2025-12-23"}, "until"),
        ({"from": "2025-12-24", "until": "2035-12-23"}, "until"),
        ({"to": "2025-12-24"}, "to"),
    ],
)
def test_days_out_of_reach_are_refused(query: dict[str, str], field: str) -> None:
    client = make_client()
    address = f"{CALENDARS}/{client.post(CALENDARS, HOLIDAYS).json()['id']}/days"

    assert fields_of(client.get(address, query)) == [field]


def test_an_icalendar_file_is_read_and_not_told_again() -> None:
    text = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20250501\r\n"
        "SUMMARY:Labour Day\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )

    answer = post(CALENDARS, {"name": "closed", "kind": "ics", "ics": text}).json()

    assert "ics" not in answer
    assert answer["summary"] == "1 event of an iCalendar file"
    assert Calendar.objects.get().days()(datetime(2025, 5, 1, tzinfo=UTC).date()) == "Labour Day"


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"name": "Deutsche Feiertage"}, ["name"]),
        ({"name": 7}, ["name"]),
        ({"kind": "holiday"}, ["kind"]),
        ({"country": "Germany"}, ["country"]),
        ({"subdivision": "Bavaria"}, ["subdivision"]),
        ({"weekdays": ["friday"]}, ["weekdays"]),
        ({"kind": "weekdays", "country": "", "weekdays": "friday"}, ["weekdays"]),
        ({"kind": "dates", "country": "", "dates": [{"date": "tomorrow"}]}, ["dates"]),
        ({"kind": "dates", "country": "", "dates": ["2025-01-01"]}, ["dates.0"]),
        ({"kind": "ics", "country": "", "ics": "BEGIN:VEVENT"}, ["ics"]),
        ({"contry": "DE"}, ["contry"]),
        ({"id": 5}, ["id"]),
        ({"name": "no!", "country": "XX", "dates": [{"date": "12-24"}]}, ["name", "dates", "country"]),
    ],
)
def test_each_wrong_field_of_a_calendar_is_named_and_nothing_kept(changes: dict[str, Any], fields: list[str]) -> None:
    assert fields_of(post(CALENDARS, HOLIDAYS | changes)) == fields
    assert not Calendar.objects.exists()


def test_a_name_that_is_taken_or_in_use_is_a_conflict() -> None:
    client = make_client()
    address = f"{CALENDARS}/{client.post(CALENDARS, HOLIDAYS).json()['id']}"
    make_schedule(settings={"calendar": "de_holidays"})

    answers = [
        client.post(CALENDARS, HOLIDAYS),
        client.patch(address, {"name": "german"}),
        client.delete(address),
    ]

    assert [answer.status_code for answer in answers] == [409, 409, 409]
    assert "is used by daily of etl" in answers[2].json()["detail"]


def test_a_change_over_the_api_plans_triggers_anew() -> None:
    moment = datetime(2030, 1, 1, 12, tzinfo=UTC)
    calendar_changes.create({"name": "closed", "kind": "dates", "dates": [{"date": "2030-01-02"}]}, moment)
    schedule = make_schedule(settings={"calendar": "closed", "on_calendar_hit": "next_business_day"}, start_time=moment)
    schedule.resume(moment)

    make_client().patch(f"{CALENDARS}/{Calendar.objects.get().pk}", {"dates": [{"date": "2030-06-01"}]})

    schedule.refresh_from_db()
    assert schedule.next_due_at == datetime(2030, 1, 2, tzinfo=UTC)


# --- windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [UPGRADE, WEEKLY])
def test_a_window_is_written_changed_and_deleted(body: dict[str, Any]) -> None:
    client = make_client()
    made = client.post(WINDOWS, body)
    address = f"{WINDOWS}/{made.json()['id']}"

    changed = client.patch(address, {"effect": "mute_alerts", "is_active": False}, headers={"If-Match": made["ETag"]})

    assert (made.status_code, changed.status_code) == (201, 200)
    assert made.json().items() >= {**body, "scope": "all", "effect": "both"}.items()
    assert client.get(address).json()["effect"] == "mute_alerts"
    assert client.patch(address, {"reason": "x"}, headers={"If-Match": made["ETag"]}).status_code == 412
    assert client.get(WINDOWS, {"is_active": "true"}).json()["results"] == []
    assert client.delete(address).status_code == 204


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"scope": "pipeline", "value": "elt"}, ["value"]),
        ({"scope": "everything"}, ["scope"]),
        ({"effect": "both!"}, ["effect"]),
        ({"starts_at": "2026-03-01"}, ["starts_at"]),
        ({"starts_at": "2026-03-03T00:00:00Z"}, ["ends_at"]),
        ({"duration": "2 hours"}, ["duration"]),
        ({"duration": 7200}, ["duration"]),
        ({"recurrence": "0 22 * * 6"}, ["ends_at"]),
        ({"timezone": "Europe/Berln"}, ["timezone"]),
        ({"is_active": "yes"}, ["is_active"]),
        ({"status": "open"}, ["status"]),
        ({"name": "", "effect": "x"}, ["name"]),
        ({"scope": "x", "effect": "x", "timezone": "x"}, ["effect", "scope", "timezone"]),
    ],
)
def test_each_wrong_field_of_a_window_is_named_and_nothing_kept(changes: dict[str, Any], fields: list[str]) -> None:
    make_pipeline()

    assert fields_of(post(WINDOWS, UPGRADE | changes)) == fields
    assert not MaintenanceWindow.objects.exists()
