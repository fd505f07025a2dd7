"""What a simulation says about load, what is too late, and what to do."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from schedules.simulating import load_advice, loads
from schedules.simulating.simulation import Result, simulate
from schedules.timetable import read_zone
from tests.schedules.simulating.test_simulation import BEGIN, DAY, HOUR, MINUTE, trigger

UTC_ZONE = read_zone("UTC")


def test_an_hour_has_an_average_and_a_peak_of_runs_at_a_time() -> None:
    triggers = [trigger(1, "0,30 0 * * *", 15), trigger(2, "10 0 * * *", 80)]

    hours = loads.by_hour(simulate(triggers, BEGIN, BEGIN + 3 * HOUR))

    assert [(round(hour.average, 2), hour.peak, hour.starts) for hour in hours] == [
        (1.33, 2, 3),
        (0.5, 1, 0),
        (0, 0, 0),
    ]


def test_what_ends_as_another_begins_is_no_peak() -> None:
    hours = loads.by_hour(simulate([trigger(1, "*/10 * * * *", 10)], BEGIN, BEGIN + 2 * HOUR))

    assert [hour.peak for hour in hours] == [1, 1]


def test_waiting_for_limits_and_for_workers_is_told_apart() -> None:
    triggers = [trigger(1, "0 0 * * *", 30), trigger(2, "0,5 0 * * *", 15, overlap="wait_all")]

    result = simulate(triggers, BEGIN, BEGIN + 2 * HOUR, workers=1)

    queues = loads.queueing(result)
    assert (queues["workers"].count, queues["workers"].total) == (1, 30 * MINUTE)  # the first of 2, behind 1
    assert (queues["limits"].count, queues["limits"].longest) == (1, 40 * MINUTE)  # its second, behind its first
    hour = loads.by_hour(result)[0]
    assert (round(hour.waiting_for_workers, 3), round(hour.waiting_for_limits, 3)) == (0.5, 0.667)


def test_deadlines_that_are_missed_are_listed_with_how_late() -> None:
    triggers = [
        trigger(1, "0 0 * * *", 30, sla=20 * MINUTE),
        trigger(2, "0 0 * * *", 30, sla=40 * MINUTE),
        trigger(3, "*/10 0 * * *", 15, overlap="wait_all", start_deadline=60),
        trigger(4, "0 1 * * *", 30, landing_time_enabled=True),
    ]

    found = loads.misses(simulate(triggers, BEGIN, BEGIN + 2 * HOUR))

    late = [(miss.trigger.pk, miss.kind, miss.by) for miss in found]
    assert (1, "sla", 10 * MINUTE) in late
    assert 2 not in {pk for pk, _, _ in late}
    assert late.count((3, "start_deadline", None)) == 3
    assert (4, "landing_time", 30 * MINUTE) in late  # it has no history: nothing was brought forward


def test_collisions_are_named_the_worst_first() -> None:
    triggers = [trigger(pk, "0 2,9 * * *") for pk in (1, 2, 3)] + [trigger(4, "0 5 * * *"), trigger(5, "0 5 * * 1")]

    found = load_advice.collisions(simulate(triggers, BEGIN, BEGIN + 2 * DAY), ZoneInfo("Europe/Berlin"))

    assert [(each.at, each.also_at, each.most, each.days, [one.pk for one in each.triggers]) for each in found] == [
        ("03:00", ("10:00",), 3, 2, [1, 2, 3]),
        ("06:00", (), 2, 1, [4, 5]),
    ]


def test_a_quiet_slot_is_one_in_which_nothing_runs_on_any_day() -> None:
    triggers = [trigger(1, "0 1-23 * * *", 59), trigger(2, "10 0 * * 2", 5)]  # on Tuesday, 00:10

    found = load_advice.quiet_slots(simulate(triggers, BEGIN, BEGIN + 2 * DAY), UTC_ZONE, 30)

    assert [(slot.at, slot.peak) for slot in found] == [("00:30", 0), ("00:15", 1), ("00:00", 1)]


def test_a_crowd_at_one_minute_is_advised_to_spread() -> None:
    result = simulate([trigger(pk, "0 * * * *", 2) for pk in range(1, 41)], BEGIN, BEGIN + DAY)

    found = load_advice.advice(result)

    assert found is not None
    assert (len(found.triggers), found.minute, found.peak) == (40, 0, 40)
    assert found.peak_then < 10
    assert load_advice.advice(simulate([trigger(1, "0 * * * *")], BEGIN, BEGIN + DAY)) is None


def test_days_are_local_and_a_repeated_hour_is_one_cell() -> None:
    begin = datetime.fromisoformat("2025-10-25T22:00Z")  # midnight in Berlin, the day clocks go back
    result = Result(begin, begin + 25 * HOUR, None, [], [])

    (day,) = loads.by_day(loads.by_hour(result), ZoneInfo("Europe/Berlin"))

    assert [cell.hours for cell in day.cells] == [1, 1, 2, *[1] * 21]
    assert timedelta(hours=sum(cell.hours for cell in day.cells)) == 25 * HOUR
