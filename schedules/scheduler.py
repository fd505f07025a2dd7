"""The scheduler: `tick` fires what is due at a moment; `run_forever` is the loop around it that reads the clock."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Protocol

import psycopg2
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, connection, transaction

from pipelines import catalog, passed_over
from pipelines.refusal import Refusal
from runs import bell, clock, events, lifecycle, pools, recovery
from runs.admission import NotAdmitted
from runs.models import Origin, PipelineRun, Worker, WorkerKind
from runs.retaining.janitor import Janitor
from runs.working import workers
from schedules import calls, chains, firing, forecasts, trails, waiting
from schedules.backfilling import backfill_endings
from schedules.files import triggers_yaml
from schedules.firing import fire_batch
from schedules.models import PLANNED, PipelineSchedule, ScheduleType
from schedules.reasons import invariants
from schedules.starting import run_settings

logger = logging.getLogger(__name__)
LONGEST_WAIT = 1.0  # seconds: a stop is seen within this, even if nobody rings
HELD_BY_ANOTHER = GATHER = timedelta(milliseconds=100)
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds between attempts while the database is away
SWEEP_EVERY = PROJECT_EVERY = timedelta(seconds=2)
ADOPT_EVERY = FORECAST_EVERY = timedelta(seconds=10)
CHECK_EVERY = timedelta(seconds=30)
RETENTION_EVERY = timedelta(minutes=1)
SEEN_LATE = timedelta(minutes=1)  # a run's end may be committed this much after its time
# Of what is above, which this does not know: what the loop does as well, and how often at least.
FURTHER_DUTIES: list[tuple[Callable[[datetime], datetime | None], timedelta]] = []


@dataclass(frozen=True)
class TickReport:
    """Runs started, how late the latest of them was, and when something is due next (None: nothing is planned)."""

    fired: int
    next_due: datetime | None
    lag: timedelta | None = None


def tick(moment: datetime) -> TickReport:
    """Decide everything that is due at `moment`, in batches; costs a few small queries when nothing is."""
    next_resume = resume_paused(moment)
    fired, lag = waiting.admit(moment) + chains.follow(moment), None
    trails.wake_idle(moment)
    next_due = PipelineSchedule.objects.next_due()
    while next_due and next_due <= moment:
        batch = fire_batch(moment)
        if not batch.looked_at:  # another scheduler is at it
            break
        fired, lag = fired + batch.fired, max(filter(None, [lag, batch.lag]), default=None)
        next_due = PipelineSchedule.objects.next_due()
    timers = [next_due, next_resume, waiting.next_timer(moment)]
    return TickReport(fired, min(filter(None, timers), default=None), lag)


def resume_paused(moment: datetime) -> datetime | None:
    """Switch on again what was paused until now; return when the next such pause ends."""
    while (ends := PipelineSchedule.objects.next_resume()) and ends <= moment:
        with transaction.atomic():
            schedule = PipelineSchedule.objects.claimed().filter(paused_until__lte=moment).first()
            if schedule is None:  # another scheduler is at it
                return ends
            schedule.resume(schedule.paused_until or moment)  # what passed since is late, not paused
    return ends


def start_now(schedule: PipelineSchedule, *, moment: datetime, origin: Origin, **fields: Any) -> PipelineRun:
    """Start a run with the schedule's settings now, whatever its timetable says; `fields` are those of `create_run`.

    A call of an API trigger is a moment of it: it stands in the ledger, refused or not. Raises what `create_run` does.
    """
    rules = schedule.checked_settings()
    pipeline = catalog.as_saved(settings.PROJECT_DIR, schedule.pipeline)
    start = partial(lifecycle.create_run, pipeline, moment=moment, origin=origin, **fields)
    start = partial(start, settings=run_settings(schedule, rules))
    if schedule.schedule_type == ScheduleType.TIME or origin == Origin.MANUAL:
        return start()
    try:
        if not (gate := calls.gate(schedule, rules, moment)).is_open:
            raise NotAdmitted(f"{schedule.pipeline.uuid} does not start", gate, hint="")
        with transaction.atomic():
            run = start()
            calls.note(schedule, moment, origin, rules, run=run)
            return run
    except NotAdmitted as refusal:
        calls.note(schedule, moment, origin, rules, gate=refusal.gate)
        raise


def plan_next(schedule: PipelineSchedule, moment: datetime) -> None:
    """Save when an edited schedule is due next, counted from `moment`: an edit never fires by itself.

    Call `firing.settle` before the edit is saved, for what was due by the old rule.
    """
    schedule.decided_until = max(filter(None, [schedule.decided_until, moment]))
    schedule.plan_next(moment)
    firing.pass_over(schedule, moment)
    schedule.save(update_fields=[*PLANNED])
    events.publish_timer()


def adopt(moment: datetime) -> int:
    """Plan active schedules that were written by hand and never planned; return how many."""
    found = list(PipelineSchedule.objects.unplanned().order_by("id")[:200])
    for schedule in found:
        schedule.resume(moment)
    return len(found)


def renew_forecasts(since: datetime, moment: datetime) -> int:
    """Plan again what is to finish by its moments, once it is known how long one more run took; return how many."""
    changed = forecasts.triggers_with_news(since, moment)
    rows = PipelineSchedule.objects.filter(pk__in=changed, is_active=True, problem="") if changed else []
    landing = [row.pk for row in rows if row.settings and row.settings.get("landing_time_enabled")]
    for pk in landing:
        with transaction.atomic():
            schedule = PipelineSchedule.objects.claimed().filter(pk=pk, is_active=True).first()
            if schedule is not None:
                schedule.plan_next(moment)
                schedule.save(update_fields=[*PLANNED])
    return len(landing)


def revive(moment: datetime) -> int:
    """Plan again what was set aside because its pipeline was gone, once the pipeline is back; return how many.

    What only told of an invalid pipeline stops telling once that is mended.
    """
    if mended := list(PipelineSchedule.objects.mended().values_list("pk", flat=True)[:200]):
        PipelineSchedule.objects.filter(pk__in=mended).update(problem="")
    found = list(PipelineSchedule.objects.orphaned().filter(pipeline__is_present=True).order_by("id")[:200])
    for schedule in found:
        schedule.plan_next(moment)
        schedule.save(update_fields=[*PLANNED])
    return len(found)


# --- the loop -------------------------------------------------------------------------------------------------------


class Stop(Protocol):
    """`threading.Event`, as far as it is used here."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float) -> bool: ...


def run_forever(stop: Stop) -> None:
    """Fire schedules, keep timers and sweep until `stop` is set. Outlives database outages; any number may run."""
    Loop(stop).run()


@dataclass
class DeafEar:
    stop: Stop

    def wait(self, seconds: float) -> list[str]:
        self.stop.wait(seconds)
        return []

    def close(self) -> None:
        pass


@dataclass
class Duty:
    """Something the loop does again and again: at least every `every`, or when the last call asked for it."""

    call: Callable[[datetime], datetime | None]
    every: timedelta
    is_timed: bool = False  # to be done at once when a bell says that a timer changed
    called_at: datetime = datetime.min.replace(tzinfo=UTC)
    next_at: datetime = datetime.min.replace(tzinfo=UTC)

    def is_due(self, now: datetime) -> bool:
        return not self.called_at <= now < self.next_at  # also after the clock was set back

    def do(self, now: datetime) -> None:
        wanted = self.call(now)
        self.put_off(now)
        if wanted is not None:
            self.next_at = min(self.next_at, wanted if wanted > now else now + HELD_BY_ANOTHER)

    def put_off(self, now: datetime) -> None:
        self.called_at, self.next_at = now, now + self.every


class Loop:
    """One scheduler process's life: duties in turn, sleep until the next, a heartbeat row, patience in outages."""

    def __init__(self, stop: Stop) -> None:
        poll = timedelta(seconds=settings.SCHEDULER_POLL_SECONDS)
        self.stop = stop
        self.worker: Worker | None = None
        self.looped_at: datetime | None = None
        self.lag: timedelta | None = None
        self.forecast_at: datetime | None = None
        self.pause = FIRST_PAUSE
        self.watch = invariants.Watch()
        self.janitor = Janitor()
        self.told: set[str] = set()  # problems of the project that were logged
        self.duties = [
            Duty(self.fire, poll, is_timed=True),
            Duty(recovery.due_timers, poll, is_timed=True),
            Duty(self.sweep, SWEEP_EVERY),
            Duty(backfill_endings.close_finished, SWEEP_EVERY),
            Duty(self.look_at_project, PROJECT_EVERY),
            Duty(self.adopt, ADOPT_EVERY),
            Duty(self.renew_forecasts, FORECAST_EVERY),
            Duty(self.beat, timedelta(seconds=settings.HEARTBEAT_SECONDS)),
            Duty(self.check, CHECK_EVERY),
            Duty(self.janitor.turn, RETENTION_EVERY),
            *(Duty(call, every) for call, every in FURTHER_DUTIES),
        ]

    def run(self) -> None:
        while not self.stop.is_set():
            try:
                with self.listen() as ear:
                    while not self.stop.is_set():
                        self.turn()
                        self.rest(ear)
            except (OperationalError, InterfaceError, psycopg2.Error) as error:  # the last: from the ear's connection
                self.wait_out(error)
        self.retire()

    @contextmanager
    def listen(self) -> Iterator[bell.Ear]:
        """Hear rings about timers; where that is impossible, sleep instead: schedules fire all the same."""
        try:
            ear = bell.open_ear("timers")
        except OSError as error:
            logger.warning("cannot listen for changes, polling instead: %s", error)
            ear = DeafEar(self.stop)
        try:
            yield ear
        finally:
            ear.close()

    def turn(self) -> None:
        """Do what is due; a duty that fails is logged and does not keep the others from their work."""
        for duty in self.duties:
            now = clock.now()
            if not duty.is_due(now):
                continue
            try:
                duty.do(now)
            except (OperationalError, InterfaceError):
                raise
            except Exception:  # one turn of the loop
                duty.put_off(now)
                logger.exception("the scheduler could not %s", getattr(duty.call, "__name__", duty.call))
        if self.pause > FIRST_PAUSE:
            logger.info("the database answers again")
            self.pause = FIRST_PAUSE

    def rest(self, ear: bell.Ear) -> None:
        """Sleep until the next duty, or until somebody rings."""
        now = clock.now()
        wait = min(duty.next_at for duty in self.duties) - now
        rings = ear.wait(min(max(wait.total_seconds(), 0.0), LONGEST_WAIT))
        is_urgent = any(text != events.END for text in rings)
        for duty in self.duties if rings else ():
            if duty.is_timed:
                # Many runs may end at once; what follows them is looked for together.
                duty.next_at = min(duty.next_at, now if is_urgent else max(now, duty.called_at + GATHER))

    def wait_out(self, error: Exception) -> None:
        """Wait before the next attempt, longer each time; say so once per outage."""
        if self.pause == FIRST_PAUSE:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            logger.warning("the database does not answer, trying again: %s", reason)
        connection.close()
        self.stop.wait(self.pause)
        self.pause = min(self.pause * 2, LONGEST_PAUSE)

    # --- duties: each may return when it wants to be called again

    def fire(self, moment: datetime) -> datetime | None:
        report = tick(moment)
        self.looped_at, self.lag = moment, report.lag or self.lag
        return report.next_due

    def sweep(self, moment: datetime) -> None:
        recovery.sweep(moment)
        calls.expire(moment)

    def look_at_project(self, moment: datetime) -> None:
        try:
            catalog.refresh(settings.PROJECT_DIR)
            pools.sync_with_file(settings.PROJECT_DIR)
            diff = triggers_yaml.sync(settings.PROJECT_DIR, moment)
            problems = {f"{found['file']} line {found['line']}: {found['reason']}" for found in diff.problems}
            problems.update(passed_over.sentences(settings.PROJECT_DIR))
        except Refusal as refusal:
            problems = {str(refusal)}
        for problem in sorted(problems - self.told):
            logger.warning("%s", problem)
        self.told = problems

    def adopt(self, moment: datetime) -> None:
        adopt(moment)
        revive(moment)

    def renew_forecasts(self, moment: datetime) -> None:
        renew_forecasts((self.forecast_at or moment) - SEEN_LATE, moment)
        self.forecast_at = moment

    def beat(self, moment: datetime) -> None:
        """Say that this scheduler lives, when its last loop was and how late it was."""
        if self.worker is None:
            if connection.vendor == "sqlite" and workers.others_alive(WorkerKind.SCHEDULER, moment):
                logger.warning(
                    "another scheduler is at work on this SQLite database; moments still fire once, but two writers "
                    "slow each other down: use Postgres to run several"
                )
            self.worker = workers.register(WorkerKind.SCHEDULER, moment)
        row = Worker.objects.filter(pk=self.worker.pk)
        if not row.update(seen_at=moment, last_loop_at=self.looped_at, lag=self.lag):
            self.worker = None  # the row was deleted: a new one at the next beat

    def check(self, moment: datetime) -> None:
        """Look for what must never be, and keep what is found beside this scheduler's heartbeat."""
        found = [finding.as_dict() for finding in self.watch.look(moment)]
        if self.worker is not None and self.worker.findings != found:
            self.worker.findings = found
            self.worker.save(update_fields=["findings"])

    def retire(self) -> None:
        if self.worker is None:
            return
        try:
            workers.retire(self.worker, clock.now())
        except DatabaseError as error:
            logger.warning("could not sign off: %s", str(error).strip())
