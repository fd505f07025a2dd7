"""Calendars and windows on the admin site: the same rules as everywhere."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from schedules.days.calendars import Calendar
from schedules.days.maintenance import MaintenanceWindow
from tests.factories import make_schedule, text_of

pytestmark = pytest.mark.django_db
HOLIDAYS = {"name": "de_holidays", "kind": "holidays", "country": "DE", "weekdays": "[]", "dates": "[]"}
WEEKLY = {
    "name": "weekly",
    "scope": "all",
    "effect": "both",
    "recurrence": "0 22 * * 6",
    "duration": "02:00:00",
    "timezone": "UTC",
    "is_active": "on",
}


@pytest.fixture
def site(client: Client, ada: User) -> Client:
    ada.is_staff = ada.is_superuser = True
    ada.save()
    client.force_login(ada)
    return client


def add(site: Client, what: str, fields: dict[str, Any]) -> Any:
    return site.post(f"/admin/schedules/{what}/add/", fields)


def test_what_makes_sense_is_kept(site: Client) -> None:
    assert add(site, "calendar", HOLIDAYS).status_code == 302
    assert add(site, "maintenancewindow", WEEKLY).status_code == 302

    assert Calendar.objects.get().country == "DE"
    assert MaintenanceWindow.objects.get().recurrence == "0 22 * * 6"
    assert "public holidays of DE" in text_of(site.get("/admin/schedules/calendar/"))


def test_what_makes_none_is_told_and_nothing_kept(site: Client) -> None:
    calendar = text_of(add(site, "calendar", HOLIDAYS | {"country": "Germany"}))
    window = text_of(add(site, "maintenancewindow", WEEKLY | {"recurrence": "61 * * * *"}))

    assert "There are no holidays of" in calendar
    assert "Minute: 61 is outside 0–59." in window
    assert not Calendar.objects.exists()
    assert not MaintenanceWindow.objects.exists()


def test_a_calendar_in_use_is_not_renamed(site: Client) -> None:
    add(site, "calendar", HOLIDAYS)
    make_schedule(settings={"calendar": "de_holidays"})
    address = f"/admin/schedules/calendar/{Calendar.objects.get().pk}/change/"

    assert "Triggers use this calendar" in text_of(site.post(address, HOLIDAYS | {"name": "german"}))
    assert Calendar.objects.get().name == "de_holidays"
