"""What the timeline is asked for in its query string."""

from datetime import timedelta

import pytest
from django.http import QueryDict

from orchestrator_site.timeline.asked import TimelineForm, Window, window
from tests.factories import NOON

HOUR = timedelta(hours=1)


def asked(query: str) -> tuple[TimelineForm, Window]:
    form = TimelineForm(QueryDict(query))
    form.is_valid()
    return form, window(form, NOON)


def test_a_day_is_shown_of_which_a_quarter_is_still_to_come() -> None:
    form, found = asked("")

    assert (found.begin, found.end, found.is_live) == (NOON - 18 * HOUR, NOON + 6 * HOUR, True)
    assert found.zone.key == "UTC"
    assert not form.is_used


def test_of_a_week_one_day_is_still_to_come() -> None:
    _, found = asked("hours=168")

    assert (found.begin, found.end) == (NOON - 144 * HOUR, NOON + 24 * HOUR)


def test_a_window_can_end_at_any_moment_of_the_past() -> None:
    form, found = asked("hours=6&until=2025-03-01T12:00:00Z")

    assert (found.begin, found.end, found.is_live) == (NOON - 30 * HOUR, NOON - 24 * HOUR, False)
    assert form.is_used


def test_a_window_never_ends_later_than_a_day_ahead() -> None:
    _, found = asked("until=2125-03-01T12:00:00Z")

    assert found.end == NOON + 24 * HOUR
    assert found.moved(0.5, NOON) == "2025-03-03T12:00:00Z"


def test_moving_half_a_window_back_keeps_half_of_it_in_sight() -> None:
    _, found = asked("hours=6")

    assert found.moved(-0.5, NOON) == "2025-03-02T10:30:00Z"


@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("hours=5", "hours", "Select a valid choice."),
        ("group=color", "group", "Select a valid choice."),
        ("state=eaten", "state", "Select a valid choice."),
        ("zone=Europe/Berln", "zone", "Did you mean Europe/Berlin?"),
        ("until=noon", "until", "This is no moment."),
        ("until=2025-03-01T12:00", "until", "This is no moment."),
        ("until=9999-12-31T23:59:59Z", "until", "This is no moment."),
        ("q=%00", "q", "Null characters are not allowed."),
    ],
)
def test_what_makes_no_sense_is_told_and_left_out(query: str, field: str, said: str) -> None:
    form, found = asked(query)

    assert said in str(form.errors[field])
    assert (found.begin, found.end) == (NOON - 18 * HOUR, NOON + 6 * HOUR)


def test_a_value_that_nothing_has_stays_chosen() -> None:
    form, _ = asked("tag=gone")

    form.offer("tag", "Tag", ["a"], "Any tag")

    assert '<option value="gone" selected>' in str(form["tag"])
