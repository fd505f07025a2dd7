"""Times by the clocks of whoever looks."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from runs.viewer_zone import read_local, stamp, viewer_zone, zone_of_form
from runs.zones import known_zone

BERLIN = ZoneInfo("Europe/Berlin")
MORNING = datetime(2025, 3, 2, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "name", ["", "Mars/Base", "Europe", "../../etc/passwd", "localtime", "\0", "é" * 9999, None, 7]
)
def test_a_name_that_is_no_zone_is_none(name: object) -> None:
    assert known_zone(name) is None


def test_outside_of_a_page_the_zone_is_utc() -> None:
    assert viewer_zone() == ZoneInfo("UTC")
    assert stamp(MORNING) == "2025-03-02 05:00:00 UTC"


def test_a_stamp_has_the_viewers_time_and_utc() -> None:
    with timezone.override(BERLIN):
        assert stamp(MORNING) == "2025-03-02 06:00:00 CET (05:00:00 UTC)"


def test_a_stamp_says_the_day_of_utc_where_that_is_another() -> None:
    with timezone.override(ZoneInfo("America/Los_Angeles")):
        assert stamp(MORNING, "%H:%M") == "2025-03-01 21:00 PST (2025-03-02 05:00 UTC)"


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2025-03-02T06:00", MORNING),
        ("2025-03-02 06:00", MORNING),
        ("2025-03-02T05:00Z", MORNING),
        ("2025-03-02T00:00:00-05:00", MORNING),
        ("2025-03-30T02:30", datetime(2025, 3, 30, 1, 30, tzinfo=UTC)),  # clocks skip it
        ("2025-10-26T02:30", datetime(2025, 10, 26, 0, 30, tzinfo=UTC)),  # they repeat it
        ("soon", None),
        ("2025-02-30T06:00", None),
        ("0001-01-01T00:00", None),
        ("", None),
    ],
)
def test_a_typed_time_is_by_the_clocks_of_its_zone_unless_it_says(text: str, utc: datetime | None) -> None:
    assert read_local(text, BERLIN) == utc


def test_a_form_that_names_no_zone_means_utc() -> None:
    assert zone_of_form({"zone": "Europe/Berlin"}) == BERLIN
    assert zone_of_form({}) == zone_of_form({"zone": "Mars/Base"}) == ZoneInfo("UTC")
