"""Whatever the rule, the zone, the policies and the way time is cut into ticks: one row for each moment, none twice.

Nothing is kept between two ticks but what the database would hold, so every tick is a restart.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from django.db import transaction
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipelines.refusal import Refusal
from runs.models import PipelineRun
from runs.states import RunStatus
from schedules import scheduler, triggers
from schedules.decisions import Verdict
from schedules.models import Occurrence, PipelineSchedule
from schedules.policies import OnCalendarHit, Settings
from schedules.reckoning import Entry, reckon
from schedules.rules.day_rules import read_day_rule
from schedules.timetable import Timetable, parse
from schedules.timing import Timing
from tests.factories import make_pipeline, make_schedule
from tests.schedules.test_timetable_reference import EXPRESSIONS, ODD_ZONES, ZONES, next_change

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
COMMON = ["30 2 * * *", "0 0 * * *", "15,45 1,2,3 * * *", "*/15 * * * *", "0 * * * *", "*/30 2 * * *", "10 0-23 * * *"]
RULES = ["every 90 minutes from 06:00", "every 7 minutes", "FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=30", "FREQ=HOURLY"]
MUCH = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]


def profile(examples: int) -> settings:
    return settings(deadline=None, max_examples=examples, derandomize=True, suppress_health_check=MUCH)


POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "catchup": st.sampled_from(["latest", "all", "none", "hold"]),
        "catchup_max": st.integers(1, 120),
        "catchup_window": st.integers(1, 200_000),
        "start_deadline": st.integers(1, 20_000),
        "jitter": st.integers(0, 7200),
        "active_hours": st.sampled_from(["07:00-22:00", "22:00-04:00", "01:30-02:45"]),
        "calendar": st.sampled_from(["weekend", "not weekend"]),
        "on_calendar_hit": st.sampled_from(OnCalendarHit).map(str),
        "dst_missing": st.sampled_from(["at_next_valid", "skipped"]),
        "dst_repeated": st.sampled_from(["first", "second", "both"]),
    },
)


@dataclass
class Story:
    """A rule with its policies, since when it is on, and how far apart its ticks are."""

    timetable: Timetable
    policies: Settings
    since: datetime
    shift: timedelta
    steps: Sequence[timedelta] = field(default_factory=list)

    @property
    def timing(self) -> Timing:
        return Timing(self.timetable, self.shift, self.since)

    def moments(self, until: datetime) -> list[datetime]:
        return [instant.utc for instant in self.timetable.between(self.since, until - self.shift, limit=10**6)]


def rule_of(expression: str, zone: str, policies: Settings) -> Timetable:
    days = read_day_rule(policies.calendar, {}, policies.on_calendar_hit) if policies.calendar else None
    return parse(expression, zone, dst=policies.dst, hours=policies.active_hours, days=days)


@st.composite
def expressions(draw: st.DrawFn, near: datetime) -> str:
    listed = st.lists(st.integers(0, 4000), min_size=1, max_size=12)
    dates = listed.map(lambda each: "on " + ", ".join(f"{near + n * MINUTE:%Y-%m-%dT%H:%M}" for n in each))
    return draw(st.one_of(st.sampled_from(COMMON), st.sampled_from(RULES), EXPRESSIONS, dates))


@st.composite
def starts(draw: st.DrawFn, zone: str) -> datetime:
    """A moment shortly before a change of the zone's clocks, if it has any in that year."""
    moment = draw(st.datetimes(datetime(1990, 1, 1), datetime(2036, 1, 1))).replace(tzinfo=UTC)
    change = next_change(zone, moment) or moment
    return change - draw(st.timedeltas(timedelta(0), 30 * HOUR))


@st.composite
def stories(draw: st.DrawFn) -> Story:
    zone = draw(ZONES)
    since = draw(starts(zone))
    policies = Settings.from_json(draw(POLICIES))
    shift = timedelta(seconds=draw(st.integers(0, 7200))) if policies.jitter else timedelta(0)
    if not policies.jitter and draw(st.booleans()):
        shift = -timedelta(seconds=draw(st.integers(1, 7200)))  # it is to finish by its moments
    try:
        timetable = rule_of(draw(expressions(since)), zone, policies)
    except Refusal:  # it has no moment within its hours, say
        timetable = rule_of(draw(st.sampled_from(COMMON[3:5])), zone, Settings())
    step = st.one_of(st.timedeltas(SECOND, MINUTE), st.timedeltas(MINUTE, 3 * HOUR), st.timedeltas(HOUR, 20 * HOUR))
    return Story(timetable, policies, since, shift, draw(st.lists(step, min_size=1, max_size=30)))


def play(story: Story, ticks: Sequence[datetime]) -> tuple[list[Entry], datetime]:
    """Return what every tick found, and until when all is decided; each starts from what the one before stored."""
    decided, planned, found = story.since, story.timing.next_due(story.since), []
    for moment in ticks:
        if planned is None or planned > moment:
            continue
        step = reckon(story.timing, story.policies, decided, moment, planned=planned)
        found += step.entries
        decided, planned = step.decided_until, step.next_due
        assert planned == story.timing.next_due(decided)
        assert planned is None or planned > moment
    return found, decided


@profile(150)
@given(stories())
@example(
    Story(
        parse("30 2 * * *", "Europe/Berlin"), Settings(), datetime(2025, 10, 25, 23, 30, tzinfo=UTC), -HOUR, [HOUR] * 4
    )
)
def test_the_ledger_is_the_timetables_own_list_however_time_is_cut(story: Story) -> None:
    ticks = [story.since]
    for step in story.steps:
        ticks.append(ticks[-1] + step)

    found, _ = play(story, ticks)

    moments = [entry.instant.utc for entry in found]
    assert moments == sorted(set(moments)), "a moment came twice or out of turn"
    assert moments + covered(found, story) == wanted(story, ticks[-1], moments + covered(found, story))


def wanted(story: Story, until: datetime, listed: list[datetime]) -> list[datetime]:
    """Return the timetable's own list, in the order of `listed`."""
    own = set(story.moments(until))
    assert own == set(listed)
    return listed


def covered(found: Sequence[Entry], story: Story) -> list[datetime]:
    """Return the moments that rows which stand for many sum up, those rows' own left out."""
    summed = []
    for entry in found:
        if since := re.search(r"every moment since (\S+ \S+) UTC", entry.ruling.reason):
            first = datetime.strptime(since[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
            among = story.timetable.between(first - MINUTE, entry.instant.utc - timedelta(microseconds=1), limit=10**6)
            summed += [instant.utc for instant in among if instant.utc >= first]
    return [moment for moment in summed if moment not in {entry.instant.utc for entry in found}]


@profile(100)
@given(stories(), st.integers(0, 59), st.integers(1, 40))
def test_while_ticks_come_within_a_minute_every_moment_starts_exactly_once(story: Story, late: int, count: int) -> None:
    instants = story.timetable.upcoming(story.since, count)
    # A tick that finds nothing due changes nothing, so those in between need not be played.
    ticks = sorted(instant.utc + story.shift + late * SECOND for instant in instants)

    found, _ = play(story, [tick for tick in ticks if tick >= story.since])

    starts = Counter(entry.instant.utc for entry in found if entry.ruling.verdict is Verdict.START)
    late_at_first = [instant.utc for instant in instants if instant.utc + story.shift < story.since]
    runnable = [instant.utc for instant in instants if not instant.hit and instant.utc not in late_at_first]
    if story.policies.start_deadline and story.policies.start_deadline < timedelta(seconds=late):
        assert set(starts) <= set(runnable)
    else:
        assert [moment for moment in runnable if starts[moment] != 1] == []


# --- through the real tick --------------------------------------------------------------------------------------------

WAYS = st.fixed_dictionaries(
    {},
    optional={
        "catchup": st.sampled_from(["latest", "all", "none", "hold"]),
        "overlap": st.sampled_from(["allow", "skip", "wait_one", "wait_all", "cancel_other"]),
        "pipeline_run_limit": st.integers(1, 2),
        "on_pipeline_run_limit_reached": st.sampled_from(["skip", "wait"]),
        "jitter": st.integers(0, 1800),
        "start_deadline": st.integers(1, 7200),
        "stop_after_failures": st.just(2),
        "calendar": st.just("weekend"),
        "on_calendar_hit": st.sampled_from(OnCalendarHit).map(str),
        "dst_repeated": st.sampled_from(["first", "second"]),
        "dst_missing": st.sampled_from(["at_next_valid", "skipped"]),
    },
)
FIXED = ["30 2 * * *", "15,45 1,2,3 * * *", "0 6,18 * * *"]
HAPPENINGS = [
    "tick",
    "tick",
    "tick",
    "end runs",
    "fail runs",
    "pause",
    "pause a while",
    "resume",
    "edit",
    "edit",
    "wait",
]


class Happening(NamedTuple):
    """What happens so much `later` than now, or than the rule's next moment."""

    what: str
    than: str
    later: timedelta
    fields: dict[str, Any]


@st.composite
def happenings(draw: st.DrawFn, rules: Sequence[str]) -> list[Happening]:
    found = []
    for _ in range(draw(st.integers(4, 16))):
        what = draw(st.sampled_from(HAPPENINGS))
        # Most often to the next moment of the rule, or a little later.
        near = st.timedeltas(timedelta(0), 20 * MINUTE).map(lambda later: ("moment", later))
        step = draw(st.one_of(near, near, st.timedeltas(SECOND, 3 * HOUR).map(lambda later: ("now", later))))
        fields: dict[str, Any] = {}
        if what == "edit":
            one = st.one_of(
                st.fixed_dictionaries({"schedule_interval": st.sampled_from(rules)}),
                st.fixed_dictionaries({"timezone": st.sampled_from(ODD_ZONES)}),
                st.fixed_dictionaries({"settings": WAYS}),
            )
            fields = draw(one)
        found.append(Happening(what, *step, fields))
    return found


@dataclass
class Life:
    """A trigger to which things happen, and what its ledger has to hold then."""

    schedule: PipelineSchedule
    moment: datetime
    since: datetime
    wanted: set[datetime] = field(default_factory=set)

    def happen(self, what: str, fields: dict[str, Any]) -> None:
        self.schedule.refresh_from_db()
        match what:
            case "tick":
                scheduler.tick(self.moment)
            case "end runs" | "fail runs":
                status = RunStatus.COMPLETED if what == "end runs" else RunStatus.FAILED
                PipelineRun.objects.unfinished().update(status=status, completed_at=self.moment)
            case "pause":
                triggers.pause(self.schedule, self.moment)
            case "pause a while":
                triggers.pause(self.schedule, self.moment, until=self.moment + HOUR)
            case "resume":
                triggers.resume(self.schedule, self.moment)
            case "edit":
                self.edit(fields)
        self.check_plan()

    def edit(self, fields: dict[str, Any]) -> None:
        timetable, runs = self.schedule.timetable(), PipelineRun.objects.count()
        is_other = any(getattr(self.schedule, name) != value for name, value in fields.items())
        triggers.change(self.schedule, fields, is_active=None, moment=self.moment)
        assert PipelineRun.objects.count() == runs, "a save started something"
        if is_other:
            self.close(timetable, self.moment)

    def close(self, timetable: Timetable, until: datetime) -> None:
        """What the rule had until now is owed."""
        self.wanted |= {instant.utc for instant in timetable.between(self.since, until, limit=10**6)}
        self.since = until

    def check_plan(self) -> None:
        self.schedule.refresh_from_db()
        if self.schedule.is_active:
            assert self.schedule.decided_until
            assert self.schedule.next_due_at == self.schedule.timing().next_due(self.schedule.decided_until)
        else:
            assert self.schedule.next_due_at is None

    def end(self) -> None:
        """Let it be on and brought up to date, and look at its ledger."""
        triggers.resume(self.schedule, self.moment)
        scheduler.tick(self.moment)
        timing = self.schedule.timing()
        self.close(timing.timetable, self.moment - timing.shift)
        rows = list(self.schedule.occurrences.values_list("scheduled_for", flat=True))
        assert sorted(rows) == sorted(self.wanted)


def live(zone: str, since: datetime, rules: Sequence[str], ways: dict[str, Any], story: Sequence[Happening]) -> Life:
    make_pipeline()
    schedule = make_schedule(schedule_interval=rules[0], timezone=zone, is_active=False, settings=ways)
    schedule.resume(since)
    life = Life(schedule, since, since)
    for each in story:
        following = schedule.timetable().next_after(life.moment) if each.than == "moment" else None
        life.moment = (following.utc if following else life.moment) + each.later
        life.happen(each.what, each.fields)
    return life


@pytest.mark.django_db
@profile(30)
@given(st.data(), st.sampled_from(ODD_ZONES))
def test_no_pause_edit_or_outage_loses_a_moment_and_no_save_starts_anything(data: st.DataObject, zone: str) -> None:
    since = data.draw(starts(zone))
    rules = ["0 * * * *", *FIXED, "*/20 * * * *", "every 50 minutes", "FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=30"]
    with transaction.atomic():
        life = live(zone, since, rules, data.draw(WAYS), data.draw(happenings(rules)))
        life.moment += HOUR
        life.end()
        started = Occurrence.objects.filter(decision="started")
        assert started.count() == PipelineRun.objects.count() == started.values("pipeline_run").distinct().count()
        transaction.set_rollback(True)


@pytest.mark.django_db
@profile(15)
@given(st.data(), st.sampled_from(ODD_ZONES))
def test_no_change_of_clocks_starts_a_fixed_time_twice(data: st.DataObject, zone: str) -> None:
    since = data.draw(starts(zone))
    with transaction.atomic():
        life = live(zone, since, FIXED, data.draw(WAYS), data.draw(happenings(FIXED)))
        life.moment += HOUR
        life.end()
        started = Occurrence.objects.filter(decision="started").order_by("local_time", "scheduled_for")
        times = list(started.values_list("local_time", "scheduled_for"))
        for (one, at), (other, later) in pairwise(times):
            assert one[:19] != other[:19] or abs(later - at) >= 3 * HOUR
        transaction.set_rollback(True)
