"""How long ago, as people write it."""

from datetime import UTC, datetime, timedelta

import pytest

from runs.listing.spans import read_moment, read_span

NOON = datetime(2025, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("10m", 600), ("10 min", 600), ("1.5h", 5400), (" 7D ", 604_800), ("2w", 1_209_600)],
)
def test_a_span_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert read_span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "h", "-1h", "1y", "1h30m", "999999999d", "1e5", "one"])
def test_anything_else_is_none(text: str) -> None:
    assert read_span(text) is None


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("24h", datetime(2025, 3, 1, 12, tzinfo=UTC)),
        ("2025-03-01", datetime(2025, 3, 1, tzinfo=UTC)),
        ("2025-03-01T06:30", datetime(2025, 3, 1, 6, 30, tzinfo=UTC)),
        ("2025-03-01 06:30:01", datetime(2025, 3, 1, 6, 30, 1, tzinfo=UTC)),
        ("2025-03-01T06:30+01:00", datetime(2025, 3, 1, 5, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_is_so_long_ago_or_a_date_in_utc(text: str, moment: datetime) -> None:
    assert read_moment(text, NOON) == moment


@pytest.mark.parametrize("text", ["24", "soon", "2025-02-30", "2025-03-01T25:00", "0001-01-01T00:00+14:00", "36500d5"])
def test_what_is_no_moment_is_none(text: str) -> None:
    assert read_moment(text, NOON) is None
