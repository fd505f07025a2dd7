"""Reading cron expressions: what is taken, and how each mistake is named."""

import json
from pathlib import Path

import pytest

from schedules.rules.cron_fields import InvalidSchedule, read_cron
from tests.steps import steps

INVALID = json.loads((Path(__file__).parent / "cron_vectors.json").read_text())["invalid"]
WRONG_VALUES = {  # expression → how its message must begin
    "61 * * * *": "Minute: 61 is outside 0–59.",
    "0 24 * * *": "Hour: 24 is outside 0–23.",
    "0 0 0 * *": "Day of month: 0 is outside 1–31.",
    "0 0 32 * *": "Day of month: 32 is outside 1–31.",
    "0 0 * 13 *": "Month: 13 is outside 1–12.",
    "0 0 * * 8": "Day of week: 8 is outside 0–7.",
    "99999999999999999999 * * * *": "Minute: 99999999999999999999 is outside 0–59.",
    "*/0 * * * *": "Minute: the step 0 is outside 1–59.",
    "*/61 * * * *": "Minute: the step 61 is outside 1–59.",
    "* */24 * * *": "Hour: the step 24 is outside 1–23.",
    "1- * * * *": "Minute: '1-' is not understood.",
    "-1 * * * *": "Minute: '-1' is not understood.",
    "5/ * * * *": "Minute: '5/' is not understood.",
    "1,,2 * * * *": "Minute: '' is not understood.",
    "1.5 * * * *": "Minute: '1.5' is not understood.",
    "L * * * *": "Minute: 'l' is not understood.",
    "mon * * * *": "Minute: 'mon' is not understood.",
    "0 0 * * monday": "Day of week: 'monday' is not understood.",
    "0 0 * mon *": "Month: 'mon' is not understood.",
    "0 0 ? * *": "Day of month: ? is not supported. Write * instead.",
    "0 0 15W * *": "Day of month: '15w' is not understood.",
    "0 0 * * L": "Day of week: 'l' is not understood.",
    "0 0 * * 1#6": "Day of week: #6 in '1#6' is outside #1–#5.",
    "0 0 * * 1#0": "Day of week: #0 in '1#0' is outside #1–#5.",
    "0 0 * * 8#1": "Day of week: 8 is outside 0–7.",
    "0 0 * * 1,2#1": "Day of week: '1,2#1' mixes plain days with # or L days.",
    "H H * * *": "Minute: H (a random or hashed value) is not supported. Write a fixed value.",
    "0 H(2-4) * * *": "Hour: H (a random or hashed value) is not supported. Write a fixed value.",
    "R R * * *": "Minute: R (a random or hashed value) is not supported. Write a fixed value.",
    "0 0 * * fri-mon": "Day of week: the range 'fri-mon' runs backwards. Write 5-6,0-1.",
    "0 0 * * sat-sun": "Day of week: the range 'sat-sun' runs backwards. Write 6-7: Sunday is 7",
    "0 0 * * sat-tue": "Day of week: the range 'sat-tue' runs backwards. Write 6,0-2.",
    "5-1 * * * *": "Minute: the range '5-1' runs backwards. Write 5-59,0-1.",
    "0 0 25-1 * *": "Day of month: the range '25-1' runs backwards. Write 25-31,1.",
    "0 0 1 nov-feb *": "Month: the range 'nov-feb' runs backwards. Write 11-12,1-2.",
    "0 22-2 * * *": "Hour: the range '22-2' runs backwards. Write 22-23,0-2.",
    "0 0 * * fri-sun": "Day of week: the range 'fri-sun' runs backwards. Write 5-7: Sunday is 7 at the end of a range.",
    "0 0 31 2 *": "This schedule never fires (no date in the next 50 years).",
    "0 0 30 2 *": "This schedule never fires (no date in the next 50 years).",
    "* * * *": "A cron expression has exactly 5 fields; '* * * *' has 4. Write minute, hour,",
    "0 0 12 * * MON": "A cron expression has exactly 5 fields; '0 0 12 * * MON' has 6. Seconds and years",
    "0 0 * * *; rm -rf /": "A cron expression has exactly 5 fields; '0 0 * * *; rm -rf /' has 8.",
    "": "A schedule interval is required.",
    " \t\n ": "A schedule interval is required.",
    "@every 5m": "'@every 5m' is not known. Write */5 * * * *.",
    "@every 7m": "'@every 7m' is not known. Write every 7 minutes.",
    "@every 0m": "'@every 0m' is not known. Known are @once, @hourly, @daily,",
    "@reboot": "'@reboot' is not known. Known are @once, @hourly, @daily,",
    "\u0663 * * * *": "A cron expression is written in plain ASCII; '\\u0663' is not.",
    "0 0 * * *\x000": "A cron expression is written in plain ASCII; '\\x00' is not.",
    "0 0 * *\x1c*": "A cron expression is written in plain ASCII; '\\x1c' is not.",
    "0 0 * * *\n0 1 * * *": "A cron expression is one line. Make a trigger for each.",
    "daily": "'daily' is not known. Write @daily.",
    "Hourly": "'Hourly' is not known. Write @hourly.",
    "@dialy": "'@dialy' is not known. Did you mean @daily?",
    "@mounthly": "'@mounthly' is not known. Did you mean @monthly?",
    "@always": "'@always' is not known. Did you mean @always_on?",
    "@noon": "'@noon' is not known. Known are @once, @hourly, @daily,",
    "noon": "A cron expression has exactly 5 fields; 'noon' has 1. Write minute, hour,",
}  # fmt: skip


@pytest.mark.parametrize(("expression", "message"), WRONG_VALUES.items())
def test_a_wrong_expression_is_refused_naming_field_and_value(expression: str, message: str) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        read_cron(expression)

    assert str(caught.value).startswith(message)
    assert caught.value.field == "schedule_interval"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("case", INVALID, ids=lambda case: case["why"])
def test_what_the_oracle_refuses_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        read_cron(case["expression"])

    if case["required"] == "name the field":
        assert str(caught.value).startswith(("Minute:", "Hour:", "Day of month:", "Month:", "Day of week:"))


def test_a_huge_list_is_refused_before_it_is_read() -> None:
    def refused() -> None:
        with pytest.raises(InvalidSchedule, match="at most 256 characters; this one has 400008"):
            read_cron("0 0 * * " + "1," * 200_000)

    assert steps(refused) < 1000


@pytest.mark.parametrize(
    ("spelling", "same"),
    [
        ("5-5 * * * *", "5 * * * *"),
        ("5-5/2 * * * *", "5 * * * *"),
        ("00 06 * * *", "0 6 * * *"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * SUN", "0 0 * * 0"),
        ("0 0 * JAN-MAR *", "0 0 * 1-3 *"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("0 0 * * 5L", "0 0 * * L5"),
        ("0 0 * * friL", "0 0 * * 5L"),
        ("0 0 * * 7#2", "0 0 * * sun#2"),
        ("  0\t0  *   * * ", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@Monthly", "0 0 1 * *"),
        ("@annually", "@yearly"),
        ("@midnight", "@daily"),
        ("59/15 * * * *", "59 * * * *"),
    ],
)
def test_two_spellings_of_one_rule_are_the_same_rule(spelling: str, same: str) -> None:
    first, second = read_cron(spelling), read_cron(same)

    assert (first.times, first.days, first.months, first.weekdays, first.nth_weekdays, first.has_last_day) == (
        second.times, second.days, second.months, second.weekdays, second.nth_weekdays, second.has_last_day,
    )  # fmt: skip
