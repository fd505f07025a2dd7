"""Each setting of a trigger: what it takes, and in which words it refuses everything else."""

from datetime import time, timedelta
from typing import Any

import pytest

from schedules.policies import READERS, Catchup, LimitPolicy, OnCalendarHit, Overlap, Settings, TimeoutStatus, mistakes
from schedules.rules.clock_changes import Missing, Repeated

FLAGS = ("skip_if_previous_running", "allow_blocks_to_fail", "create_initial_pipeline_run", "landing_time_enabled")
SPANS = ("timeout", "catchup_window", "start_deadline")
CHOICES = {
    "overlap": Overlap,
    "on_pipeline_run_limit_reached": LimitPolicy,
    "timeout_status": TimeoutStatus,
    "catchup": Catchup,
    "on_calendar_hit": OnCalendarHit,
    "dst_missing": Missing,
    "dst_repeated": Repeated,
}


def said(name: str, value: Any) -> str:
    """The one refusal of a setting, which names it."""
    [found] = mistakes({name: value})
    assert found.field.split(".")[:2] == ["settings", name]
    return str(found)


def taken(name: str, value: Any) -> Any:
    assert mistakes({name: value}) == []
    return getattr(Settings.from_json({name: value}), name)


def test_every_setting_has_its_words_here() -> None:
    others = {"pipeline_run_limit", "run_limit_by_variable", "priority", "retry_config", "catchup_max", "jitter"}
    others |= {"stop_after_failures", "active_hours", "calendar", "landing_quantile", "landing_runs", "after"}

    assert set(READERS) == {*FLAGS, *SPANS, *CHOICES} | others


@pytest.mark.parametrize("name", sorted(READERS))
def test_what_is_left_empty_is_as_if_it_were_not_there(name: str) -> None:
    assert mistakes({name: None}) == []
    assert Settings.from_json({name: None}) == Settings()


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", ["yes", "true", 1, 0, [], {}])
def test_a_flag_is_true_or_false_and_nothing_else(name: str, value: Any) -> None:
    assert said(name, value) == f"{name} must be true or false; {value!r} is not."


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", [True, False])
def test_a_flag_is_kept(name: str, value: bool) -> None:
    assert taken(name, value) is value


@pytest.mark.parametrize("name", SPANS)
@pytest.mark.parametrize("value", [0, -1, 31_536_001, "60", "1 h", True, [], 10**400])
def test_a_length_of_time_is_a_number_of_seconds_within_a_year(name: str, value: Any) -> None:
    assert said(name, value).startswith(f"{name} must be a number of seconds from 1 to 31 536 000; ")


@pytest.mark.parametrize("name", SPANS)
@pytest.mark.parametrize(("value", "span"), [(1, timedelta(seconds=1)), (90.5, timedelta(seconds=90.5))])
def test_a_length_of_time_is_kept(name: str, value: float, span: timedelta) -> None:
    assert taken(name, value) == span


@pytest.mark.parametrize("name", sorted(CHOICES))
@pytest.mark.parametrize("value", ["", "SKIP", "nothing", 1, True, ["skip"], {}])
def test_a_choice_names_all_that_can_be_chosen(name: str, value: Any) -> None:
    words = [f'"{choice}"' for choice in CHOICES[name]]

    assert said(name, value) == f"{name} must be {', '.join(words[:-1])} or {words[-1]}; {value!r} is not."


@pytest.mark.parametrize(("name", "choice"), [(name, choice) for name in CHOICES for choice in CHOICES[name]])
def test_each_choice_is_kept(name: str, choice: Any) -> None:
    assert taken(name, str(choice)) is choice


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("priority", -1000, 1000),
        ("catchup_max", 1, 1000),
        ("stop_after_failures", 1, 1000),
        ("landing_runs", 1, 1000),
    ],
)
def test_a_whole_number_says_its_range_and_takes_both_ends(name: str, low: int, high: int) -> None:
    for wrong in (low - 1, high + 1, low + 0.5, str(low), True, [], 10**400):
        assert said(name, wrong).startswith(f"{name} must be a whole number from {low} to {high}; ")
    assert (taken(name, low), taken(name, high)) == (low, high)


@pytest.mark.parametrize("value", [0, -5, 1.5, "3", True, 1_000_001])
def test_a_limit_says_that_it_may_stay_empty(value: Any) -> None:
    wanted = "a whole number of at least 1, or empty for no limit"

    assert said("pipeline_run_limit", value) == f"pipeline_run_limit must be {wanted}; {value!r} is not."


@pytest.mark.parametrize("value", [-1, 86_401, "60", True])
def test_a_jitter_is_within_a_day(value: Any) -> None:
    assert said("jitter", value) == f"jitter must be a number of seconds from 0 to 86 400; {value!r} is not."
    assert taken("jitter", 0) == timedelta(0)
    assert taken("jitter", 86_400) == timedelta(days=1)


@pytest.mark.parametrize("value", [0, 0.04, 1.01, 90, "0.9", True])
def test_a_share_of_runs_says_an_example(value: Any) -> None:
    wanted = "a share from 0.05 to 1, for example 0.9"

    assert said("landing_quantile", value) == f"landing_quantile must be {wanted}; {value!r} is not."
    assert (taken("landing_quantile", 0.05), taken("landing_quantile", 1)) == (0.05, 1.0)


@pytest.mark.parametrize("value", ["7", "07:00", "07:00-07:00", "25-26", "07:60-08:00", "7 to 9", 7, True, "", "-"])
def test_active_hours_say_how_they_are_written(value: Any) -> None:
    assert said("active_hours", value) == f'active_hours must be hours such as "07:00-22:00"; {value!r} is not.'


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("07:00-22:00", (time(7), time(22))),
        ("7-22", (time(7), time(22))),
        (" 7:30 – 22 ", (time(7, 30), time(22))),
        ("22:00-06:00", (time(22), time(6))),
        ("18-24", (time(18), time(0))),
        ("18:00-24:00", (time(18), time(0))),
    ],
)
def test_active_hours_are_written_in_several_ways(text: str, hours: tuple[time, time]) -> None:
    assert taken("active_hours", text) == hours


@pytest.mark.parametrize("value", ["", "   ", "x" * 501, 1, True, []])
def test_a_calendar_is_text(value: Any) -> None:
    assert said("calendar", value).startswith("calendar must be text of 1 to 500 characters; ")
    assert taken("calendar", " de_holidays or weekend ") == "de_holidays or weekend"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "run_limit_by_variable must be an object such as {customer: 1}; {} is not."),
        ([], "run_limit_by_variable must be an object such as {customer: 1}; [] is not."),
        ("customer", "run_limit_by_variable must be an object such as {customer: 1}; 'customer' is not."),
        (
            {"customer": 0},
            "run_limit_by_variable.customer must be a whole number of at least 1, or empty for no limit;",
        ),
        ({"customer": True}, "run_limit_by_variable.customer must be a whole number of at least 1, or empty for no"),
        ({" ": 1}, "must be text of 1 to 500 characters; ' ' is not."),
        ({f"v{number}": 1 for number in range(11)}, "run_limit_by_variable must be an object such as {customer: 1};"),
    ],
)
def test_limits_by_variable_say_which_is_wrong(value: Any, words: str) -> None:
    assert words in said("run_limit_by_variable", value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "retry_config must be an object such as {retries: 3, delay: 5}; 3 is not."),
        ({"retries": -1}, "retry_config.retries must be a whole number from 0 to 1000; -1 is not."),
        ({"retries": 1001}, "retry_config.retries must be a whole number from 0 to 1000; 1001 is not."),
        ({"retries": True}, "retry_config.retries must be a whole number from 0 to 1000; True is not."),
        ({"delay": -1}, "retry_config.delay must be a number of seconds from 0 to 31 536 000; -1 is not."),
        ({"delay": "5"}, "retry_config.delay must be a number of seconds from 0 to 31 536 000; '5' is not."),
        ({"max_delay": 1e9}, "retry_config.max_delay must be a number of seconds from 0 to 31 536 000;"),
        ({"exponential_backoff": "no"}, "retry_config.exponential_backoff must be true or false; 'no' is not."),
        ({"jitter": 1.5}, "retry_config.jitter must be a share from 0 to 1, for example 0.2; 1.5 is not."),
        ({"jitter": True}, "retry_config.jitter must be a share from 0 to 1, for example 0.2; True is not."),
        ({"retry_on": "not a name"}, "retry_config.retry_on must be the name of an exception or a list of them"),
        ({"give_up_on": [1]}, "retry_config.give_up_on must be the name of an exception or a list of them, such as"),
        ({"give_up_on": ["ValueError"] * 101}, "retry_config.give_up_on must be the name of an exception or a list"),
    ],
)
def test_retries_say_which_part_is_wrong(value: Any, words: str) -> None:
    assert said("retry_config", value).startswith(words)


def test_the_name_of_one_exception_is_a_list_of_one() -> None:
    found = taken("retry_config", {"retries": 2, "retry_on": "ValueError", "give_up_on": ["KeyError"], "mine": 1})

    assert found == {"retries": 2, "retry_on": ["ValueError"], "give_up_on": ["KeyError"], "mine": 1}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("extract", "after must be an object such as {pipelines: [extract]"),
        ({}, "after"),
        ({"pipelines": []}, "after"),
        ({"pipelines": ["extract"], "when": "done"}, "made of pipelines, match and on"),
        ({"pipelines": ["extract"], "on": "done"}, "after.on must be "),
        ({"pipelines": ["extract"], "match": "some"}, "after.match must be "),
        ({"pipelines": [1]}, "after"),
    ],
)
def test_what_a_trigger_follows_says_which_part_is_wrong(value: Any, words: str) -> None:
    assert words in said("after", value)


def test_settings_that_contradict_each_other_are_told_when_each_is_right() -> None:
    [found] = mistakes({"skip_if_previous_running": True, "overlap": "allow"})

    assert str(found) == "overlap must be skip, or left out, beside skip_if_previous_running; 'allow' is not."
    assert mistakes({"skip_if_previous_running": True, "overlap": "skip"}) == []


@pytest.mark.parametrize(
    ("name", "right"), [("catch_up", "catchup"), ("Priority", "priority"), ("retry_configs", "retry_config")]
)
def test_a_slip_in_a_name_is_told_and_what_is_quite_different_is_kept(name: str, right: str) -> None:
    [found] = mistakes({name: 1, "somebody_elses": 2})

    assert str(found) == f"Unknown setting: {name}. Did you mean {right}?"
    assert Settings.from_json({"somebody_elses": 2}).others == {"somebody_elses": 2}


def test_all_that_is_wrong_is_told_at_once() -> None:
    found = mistakes({"priority": "high", "timeout": 0, "catchup": "maybe"})

    assert sorted(each.field for each in found) == ["settings.catchup", "settings.priority", "settings.timeout"]


def test_a_long_value_is_shortened_where_it_is_repeated() -> None:
    assert len(said("catchup", "x" * 10_000)) < 250


@pytest.mark.parametrize("raw", ["text", [1], 7])
def test_settings_that_are_no_object_are_refused(raw: Any) -> None:
    with pytest.raises(Exception, match="settings must be an object"):
        Settings.from_json(raw)
