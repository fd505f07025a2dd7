"""The command that shows when a schedule would fire."""

import json
from io import StringIO

import pytest
from django.core.management import call_command


def preview(*args: str) -> str:
    out = StringIO()
    call_command("preview_schedule", *args, stdout=out)
    return out.getvalue()


def test_the_json_is_the_shape_that_scripts_rely_on() -> None:
    text = preview("30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2025-03-29T12:00Z", "--count", "2", "--json")

    assert json.loads(text) == {
        "expression": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "next": [
            {
                "utc": "2025-03-30T01:00:00Z",
                "local": "2025-03-30T03:00:00+02:00",
                "note": "02:30 does not exist on 2025-03-30: clocks go forward; runs at 03:00.",
            },
            {"utc": "2025-03-31T00:30:00Z", "local": "2025-03-31T02:30:00+02:00", "note": None},
        ],
    }


def test_a_moment_without_offset_is_the_wall_clock_of_the_zone() -> None:
    text = preview("0 * * * *", "--timezone", "Asia/Tokyo", "--from", "2025-03-29 09:30", "--count", "1", "--json")

    assert json.loads(text)["next"][0]["utc"] == "2025-03-29T01:00:00Z"


def test_people_get_words_and_a_line_for_each_moment() -> None:
    lines = preview("0 6 * * 1-5", "--from", "2025-03-28", "--count", "2").splitlines()

    assert lines == [
        "0 6 * * 1-5 (UTC): at 06:00 on Monday to Friday",
        "  Fri 2025-03-28 06:00 +0000  2025-03-28 06:00 UTC",
        "  Mon 2025-03-31 06:00 +0000  2025-03-31 06:00 UTC",
    ]


def test_the_clock_changes_of_two_years_are_listed_with_what_was_chosen() -> None:
    args = ["30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2025-03-29T12:00", "--count", "1", "--dst"]

    lines = preview(*args, "--missing", "skipped", "--repeated", "both").splitlines()

    assert lines == [
        "30 2 * * * (Europe/Berlin): at 02:30 every day; a missing local time is skipped; "
        "a repeated one runs both times",
        "  Mon 2025-03-31 02:30 +0200  2025-03-31 00:30 UTC",
        "Changes of the clock in the two years from there that meet this schedule:",
        "  Sun 2025-03-30 03:00 +0200  02:30 does not exist on 2025-03-30: skipped.",
        "  Sun 2025-10-26 02:00 +0100  02:30 comes twice on 2025-10-26: runs both times.",
        "  Sun 2026-03-29 03:00 +0200  02:30 does not exist on 2026-03-29: skipped.",
        "  Sun 2026-10-25 02:00 +0100  02:30 comes twice on 2026-10-25: runs both times.",
        "  Sun 2027-03-28 03:00 +0200  02:30 does not exist on 2027-03-28: skipped.",
    ]


def test_clock_changes_are_in_the_json_where_they_are_asked_for() -> None:
    zone = ["--timezone", "Europe/Berlin", "--from", "2025-03-29T12:00", "--dst", "--json"]

    fixed, elastic = (json.loads(preview(text, *zone))["dst"] for text in ("30 2 * * *", "0 * * * *"))

    assert len(fixed) == 5
    assert fixed[0] == {
        "utc": "2025-03-30T01:00:00Z",
        "local": "2025-03-30T03:00:00+02:00",
        "note": "02:30 does not exist on 2025-03-30: runs at 03:00.",
    }
    assert elastic == []


def test_a_start_can_be_given_for_what_counts_from_it() -> None:
    text = preview("RRULE:FREQ=DAILY;COUNT=2", "--start", "2026-01-05T06:00", "--from", "2026-01-01", "--json")

    assert [each["utc"] for each in json.loads(text)["next"]] == ["2026-01-05T06:00:00Z", "2026-01-06T06:00:00Z"]


def test_always_on_has_no_moment_of_its_own() -> None:
    assert preview("@always_on").splitlines()[1] == "  no moment of its own"


@pytest.mark.parametrize(
    ("args", "field"),
    [
        (["61 * * * *"], "schedule_interval"),
        (["@daily", "--timezone", "Europe/Berln"], "timezone"),
        (["@daily", "--from", "2025-02-30"], "from"),
        (["@daily", "--from", "9999-12-31T23:59:59"], "from"),
        (["@daily", "--start", "tomorrow"], "start"),
        (["every 2 hours from 2025-03-30T02:30", "--timezone", "Europe/Berlin"], "schedule_interval"),
        (["RRULE:FREQ=DAILY;COUNT=3"], "schedule_interval"),
        (["@daily", "--count", "0"], "count"),
        (["@daily", "--count", "100000"], "count"),
    ],
)
def test_refused_input_ends_with_2_and_says_what_is_wrong(
    args: list[str], field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("preview_schedule", *args, "--json")

    assert ended.value.code == 2
    assert json.loads(capsys.readouterr().out)["error"]["field"] == field


@pytest.mark.django_db
def test_hours_and_calendar_are_kept_to_as_the_scheduler_keeps_to_them() -> None:
    text = preview(
        *("0 */6 * * *", "--from", "2025-03-28T13:00Z", "--count", "2", "--hours", "07:00-22:00"),
        *("--calendar", "weekend", "--json"),
    )

    assert [(each["utc"], each["note"]) for each in json.loads(text)["next"]] == [
        ("2025-03-28T18:00:00Z", None),
        ("2025-03-29T12:00:00Z", "Will be skipped: Saturday (weekend)."),
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("args", "words"),
    [(["--calendar", "nope"], "There is no calendar named nope."), (["--hours", "late"], "active_hours must be hours")],
)
def test_wrong_hours_and_calendars_are_refused(args: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("preview_schedule", "@daily", *args)

    assert ended.value.code == 2
    assert words in capsys.readouterr().err
