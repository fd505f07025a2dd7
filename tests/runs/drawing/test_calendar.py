"""A year as a calendar."""

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from runs.drawing.calendar import HOUR_HEIGHT, LEAST, LEFT, SIZE, STEP, TOP, Day, hours_of, lay_out, months_of
from runs.zones import UTC

TODAY = date(2026, 3, 2)


def day(number: int, counts: dict[str, int] | None = None, *, planned: bool = False) -> Day:
    """The square of a day of March 2026."""
    at = date(2026, 3, number)
    year = lay_out(2026, {at: counts} if counts else {}, {at} if planned else set(), TODAY)
    return next(each for each in year.days if each.date == at)


@pytest.mark.parametrize(("year", "days"), [(2026, 365), (2028, 366)])
def test_a_year_has_all_its_days_each_in_a_place_of_its_own(year: int, days: int) -> None:
    drawn = lay_out(year, {}, set(), TODAY)

    assert len({(each.x, each.y) for each in drawn.days}) == days
    assert max(each.x for each in drawn.days) + SIZE < drawn.width
    assert max(each.y for each in drawn.days) + SIZE <= drawn.height


def test_a_column_is_a_week_that_begins_on_monday() -> None:
    days = lay_out(2026, {}, set(), TODAY).days  # its first day is a Thursday

    assert (days[0].x, days[0].y) == (LEFT, TOP + 3 * STEP)
    assert (days[4].x, days[4].y) == (LEFT + STEP, TOP)


def test_every_month_is_named_above_its_first_day() -> None:
    drawn = lay_out(2026, {}, set(), TODAY)

    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
    assert " ".join(label.text for label in drawn.labels[:12]) == months


@pytest.mark.parametrize(
    ("counts", "kind"),
    [
        ({"completed": 3}, "good"),
        ({"completed": 3, "failed": 1}, "bad"),
        ({"failed": 1, "running": 1}, "bad"),
        ({"completed": 1, "running": 1}, "open"),
        ({"initial": 1}, "open"),
        ({"cancelled": 2}, "off"),
        ({"completed": 1, "cancelled": 2}, "good"),
    ],
)
def test_a_day_is_of_the_kind_of_its_worst(counts: dict[str, int], kind: str) -> None:
    assert day(1, counts).kind == kind


def test_days_without_runs_are_past_planned_or_ahead() -> None:
    assert (day(1).kind, day(2).kind, day(3).kind, day(3, planned=True).kind) == ("none", "none", "ahead", "planned")


def test_a_square_is_filled_as_far_as_its_runs_failed() -> None:
    assert day(1, {"failed": 2, "completed": 2}).failed_height == SIZE / 2
    assert day(1, {"failed": 2}).failed_height == SIZE
    assert day(1, {"failed": 1, "completed": 999}).failed_height == LEAST
    assert day(1, {"completed": 1}).failed_height == 0


def test_most_have_failed_when_more_than_half_have() -> None:
    assert day(1, {"failed": 2, "completed": 1}).is_mostly_bad
    assert not day(1, {"failed": 1, "completed": 1}).is_mostly_bad


@pytest.mark.parametrize(("runs", "level"), [(1, 1), (3, 1), (4, 2), (12, 3), (1440, 4)])
def test_more_runs_have_more_color(runs: int, level: int) -> None:
    assert day(1, {"completed": runs}).level == level


def test_the_fullest_hour_is_as_high_as_there_is_room_and_failures_are_on_top() -> None:
    hours = hours_of(TODAY, UTC, {6: {"failed": 1, "completed": 3}, 7: {"completed": 2}})

    assert len(hours) == 24
    assert hours[6].parts == [("completed", 3, 18.0, 54.0), ("failed", 1, 0.0, 18.0)]
    assert hours[7].parts == [("completed", 2, HOUR_HEIGHT / 2, HOUR_HEIGHT / 2)]
    assert hours[8].parts == []


@pytest.mark.parametrize(
    ("day", "hours", "labels"),
    [
        (date(2026, 3, 29), 23, ["01", "03", "04"]),
        (date(2026, 10, 25), 25, ["01", "02", "02"]),
        (date(2026, 6, 1), 24, ["01", "02", "03"]),
    ],
)
def test_a_day_has_as_many_hours_as_its_clocks_show(day: date, hours: int, labels: list[str]) -> None:
    found = hours_of(day, ZoneInfo("Europe/Berlin"), {})

    assert len(found) == hours
    assert [hour.label for hour in found[1:4]] == labels


def test_an_hour_says_which_it_is_also_in_utc() -> None:
    found = hours_of(date(2026, 10, 25), ZoneInfo("Europe/Berlin"), {})

    assert [hour.words for hour in found[2:4]] == ["02:00 CEST (00:00 UTC)", "02:00 CET (01:00 UTC)"]


def test_months_sum_up_their_days() -> None:
    counts = {date(2026, 3, 1): {"completed": 3}, date(2026, 3, 9): {"completed": 1, "failed": 4}}

    (march,) = months_of(2026, counts)

    assert (march.month, march.total, march.failed_share) == (date(2026, 3, 1), 8, 0.5)
