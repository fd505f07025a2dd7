"""Maintenance windows: which are open, what they hold or mute, when that changes, and what is refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from pipelines.refusal import Refusal
from schedules.days import window_changes
from schedules.days.maintenance import MaintenanceWindow
from schedules.days.windows import holding, muting, open_windows
from tests.factories import make_pipeline

pytestmark = pytest.mark.django_db
TEN = datetime(2025, 3, 1, 22, tzinfo=UTC)  # a Saturday
HOUR = timedelta(hours=1)
ONCE = {"name": "upgrade", "starts_at": TEN, "ends_at": TEN + 2 * HOUR}
CLOSED = {"starts_at": None, "ends_at": None}
WEEKLY = {**CLOSED, "name": "weekly", "recurrence": "0 22 * * 6", "duration": 4 * HOUR}
OURS = {"pipeline": "etl", "tags": ["nightly"], "executor": "local_python"}


def make_window(**fields: Any) -> MaintenanceWindow:
    return window_changes.create({**ONCE, **fields})


def open_at(moment: datetime) -> list[tuple[str, datetime]]:
    return [(window.name, window.until) for window in open_windows(moment)]


def test_a_window_is_open_from_its_start_up_to_its_end() -> None:
    window = make_window(reason="Postgres 18")

    moments = [TEN - HOUR, TEN, TEN + HOUR, TEN + 2 * HOUR]

    assert [len(open_windows(moment)) for moment in moments] == [0, 1, 1, 0]
    (found,) = open_windows(TEN)
    assert (found.id, found.name, found.reason, found.until) == (window.pk, "upgrade", "Postgres 18", TEN + 2 * HOUR)


def test_a_recurring_window_opens_again_in_its_own_zone_until_it_is_over() -> None:
    make_window(**WEEKLY, timezone="Europe/Berlin", until=TEN + timedelta(days=8))
    week = timedelta(days=7)

    assert open_at(TEN) == [("weekly", TEN + 3 * HOUR)]  # it began at 21:00 UTC
    assert open_at(TEN + 3 * HOUR) == []
    assert open_at(TEN + week) == [("weekly", TEN + week + 3 * HOUR)]
    assert open_at(TEN + 2 * week) == []


def test_an_inactive_window_holds_nothing() -> None:
    make_window(is_active=False)

    assert open_at(TEN) == []


def test_asking_costs_one_query() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert open_windows(TEN) == []
    assert len(queries) == 1

    make_window()
    with CaptureQueriesContext(connection) as queries:
        assert len(open_windows(TEN)) == 1
    assert len(queries) == 1


@pytest.mark.parametrize(
    ("scope", "value", "covers"),
    [
        ("all", "", True),
        ("tag", "nightly", True),
        ("tag", "hourly", False),
        ("pipeline", "etl", True),
        ("pipeline", "report", False),
        ("executor", "local_python", True),
    ],
)
def test_a_window_holds_what_is_in_its_scope(scope: str, value: str, covers: bool) -> None:
    make_pipeline()
    make_pipeline("report")
    make_window(scope=scope, value=value)

    assert (holding(open_windows(TEN), **OURS) is not None) == covers


@pytest.mark.parametrize(
    ("effect", "holds", "mutes"), [("hold_starts", True, False), ("mute_alerts", False, True), ("both", True, True)]
)
def test_an_effect_is_to_hold_or_to_mute_or_both(effect: str, holds: bool, mutes: bool) -> None:
    make_window(effect=effect)
    windows = open_windows(TEN)

    assert (holding(windows, **OURS) is not None, muting(windows, **OURS) is not None) == (holds, mutes)


def test_of_several_windows_the_one_that_ends_last_is_named() -> None:
    make_window()
    make_window(name="longer", ends_at=TEN + 5 * HOUR)

    found = holding(open_windows(TEN), **OURS)

    assert found is not None
    assert found.name == "longer"


def test_a_window_that_cannot_be_read_harms_no_other() -> None:
    make_window()
    MaintenanceWindow.objects.create(name="broken", recurrence="61 * * * *", duration=HOUR)
    MaintenanceWindow.objects.create(name="endless", recurrence="0 22 * * *")

    assert [name for name, _ in open_at(TEN)] == ["upgrade"]


def test_schedulers_are_told_of_each_change(django_capture_on_commit_callbacks: Callable[..., Any]) -> None:
    with django_capture_on_commit_callbacks() as made:
        window = make_window()
    with django_capture_on_commit_callbacks() as changed:
        window_changes.change(window, {"ends_at": TEN + HOUR})
    with django_capture_on_commit_callbacks() as deleted:
        window_changes.delete(window)

    assert [len(made), len(changed), len(deleted)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"name": " "}, "name", "Name: 1–100 printable characters."),
        ({"name": "taken"}, "name", "A window named taken exists already."),
        ({"scope": "tags"}, "scope", "'tags' is no scope. Did you mean tag?"),
        ({"scope": "tag"}, "value", "Value: a tag of 1–255 characters"),
        ({"scope": "pipeline", "value": "elt"}, "value", "There is no pipeline 'elt'. Did you mean etl?"),
        ({"scope": "executor", "value": "k8s"}, "value", "There is no executor 'k8s'. Use local_python."),
        ({"value": "x"}, "value", "A window for everything has no value."),
        ({"effect": "hold"}, "effect", "'hold' is no effect."),
        ({"ends_at": None}, "ends_at", "Give starts_at and ends_at, or recurrence and duration."),
        ({"ends_at": TEN}, "ends_at", "A window ends after it starts."),
        ({"until": TEN}, "until", "A window that does not come again has no until."),
        ({"timezone": "Europe/Berln"}, "timezone", "Unknown time zone. Did you mean Europe/Berlin?"),
        ({"recurrence": "0 22 * * 6"}, "ends_at", "A window that comes again has a duration"),
        ({**WEEKLY, "duration": None}, "duration", "How long is it open each time?"),
        ({**WEEKLY, "duration": timedelta(days=32)}, "duration", "A window is open for whole minutes"),
        ({**WEEKLY, "duration": -HOUR}, "duration", "A window is open for whole minutes"),
        ({**WEEKLY, "recurrence": "61 * * * *"}, "recurrence", "Minute: 61 is outside 0–59."),
        (
            {**WEEKLY, "recurrence": "@always_on"},
            "recurrence",
            "A window comes again by cron",
        ),
        ({**WEEKLY, "starts_at": TEN, "until": TEN - HOUR}, "until", "Start must be before end."),
        (
            {**WEEKLY, "starts_at": TEN, "until": TEN + HOUR, "recurrence": "0 9 * * *"},
            "until",
            "This window never opens.",
        ),
        ({"reason": "a\x00"}, "reason", "Reason: at most 2000 characters"),
    ],
)
def test_what_is_wrong_with_a_window_names_the_field_and_keeps_nothing(
    fields: dict[str, Any], field: str, said: str
) -> None:
    make_pipeline()
    make_window(name="taken")

    with pytest.raises(Refusal) as caught:
        make_window(**fields)

    assert caught.value.field == field
    assert str(caught.value).startswith(said)
    assert MaintenanceWindow.objects.count() == 1
