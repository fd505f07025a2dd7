"""The one thread of a worker process that looks after all its parked blocks: lease, stops, answers, open pages."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import psycopg2
from django.db import Error as DatabaseError
from django.db import connections

from executors.base import Answer
from runs import asking, bell, events, pools
from runs.children import as_answer
from runs.models import BlockRun, PipelineRun, Worker, WorkerKind
from runs.working import workers
from runs.working.hosting import BlockHost, stop_for

if TYPE_CHECKING:
    from runs.working.parking import ParkedHost

logger = logging.getLogger(__name__)
LOOK_SECONDS = 1.0
CLOSE_SECONDS = 2.0


@dataclass(frozen=True)
class Question:
    """What a block waits for, and how it is told."""

    wait: asking.Wait
    host: BlockHost
    answer: Callable[[Answer], None]
    until: float | None  # of the monotonic clock

    def is_due(self) -> bool:
        return self.until is not None and time.monotonic() >= self.until


class Attendant:
    """Its thread is there while there is something to attend to. `clock` is the edge's."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.hosts: dict[int, ParkedHost] = {}  # by block run
        self.questions: list[Question] = []
        self.announced: set[int] = set()  # block runs that are parked or about to be
        self.row: Worker | None = None
        self.renewed_at = 0.0
        self.thread: threading.Thread | None = None
        self.is_closing = False

    # --- called by the threads of blocks

    def announce(self, block_run_id: int) -> None:
        """Say that a block is on its way here: what it will need is kept from now on."""
        with self.lock:
            self.announced.add(block_run_id)

    def sign_on(self) -> Worker:
        """Return the row of what is parked here, with a lease that holds."""
        with self.lock:
            if self.row is None:
                self.row = workers.register(WorkerKind.PARKED, self.clock())
                self.renewed_at = time.monotonic()
            self.begin()
            return self.row

    def attend_to(self, host: "ParkedHost", before: BlockHost | None) -> None:
        """Look after this host from now on; what its block asked when `before` was its host is now this one's."""
        with self.lock:
            self.hosts[host.block_run.pk] = host
            self.questions = [
                Question(each.wait, host, each.answer, each.until) if each.host is before else each
                for each in self.questions
            ]
            self.begin()

    def leave(self, block_run_id: int) -> None:
        with self.lock:
            self.announced.discard(block_run_id)
            self.hosts.pop(block_run_id, None)

    def expect(self, wait: asking.Wait, host: BlockHost, answer: Callable[[Answer], None]) -> None:
        until = None if wait.seconds is None else time.monotonic() + wait.seconds
        with self.lock:
            self.questions.append(Question(wait, host, answer, until))
            self.begin()

    def has_question_of(self, host: BlockHost) -> bool:
        with self.lock:
            return any(each.host is host for each in self.questions)

    def forget(self, host: BlockHost) -> None:
        with self.lock:
            self.questions = [each for each in self.questions if each.host is not host]

    def resign(self) -> None:
        """Leave the row to recovery, which takes up all that it holds: what is parked here is fenced by that."""
        with self.lock:
            self.row = None

    def close(self) -> None:
        self.is_closing = True
        thread = self.thread
        if thread is not None:
            thread.join(CLOSE_SECONDS)

    # --- the thread

    def begin(self) -> None:
        """Have a thread at work. Under the lock."""
        if self.thread is None:
            self.thread = threading.Thread(target=self.attend, daemon=True, name="attendant of parked blocks")
            self.thread.start()

    def attend(self) -> None:
        while True:
            try:
                with bell.listen("live") as ear:
                    while self.turn():
                        self.rest(ear)
                    break
            except (DatabaseError, psycopg2.Error, OSError) as trouble:  # hosts stop by themselves if it lasts
                logger.warning("cannot look after parked blocks, trying again: %s", str(trouble).strip()[:200])
            except Exception:  # as above: nothing may end this thread while it is needed
                logger.exception("something went wrong while looking after parked blocks")
            connections.close_all()
            time.sleep(LOOK_SECONDS)
        connections.close_all()

    def turn(self) -> bool:
        """Do what is to be done now; return whether there is more to come."""
        with self.lock:
            hosts, questions, row = list(self.hosts.values()), list(self.questions), self.row
            is_over = self.is_closing or not (self.announced or questions)
            if is_over:
                self.thread = self.row = None
        if is_over:
            if row is not None:
                workers.retire(row, self.clock())
            return False
        if row is not None:
            self.keep(row)
        self.look(hosts)
        self.reply(questions)
        for host in hosts:
            host.write_down()
            if host.has_grown:
                host.has_grown = False
                events.publish_log(host.block_run.pk, host.log.size)
        return True

    def keep(self, row: Worker) -> None:
        moment, now = self.clock(), time.monotonic()
        seen_at = row.seen_at
        workers.renew_if_due(row, moment)
        if row.seen_at != seen_at:
            self.renewed_at = now

    def look(self, hosts: Iterable["ParkedHost"]) -> None:
        """Tell each host whether it must stop."""
        found = BlockRun.objects.filter(pk__in=[host.block_run.pk for host in hosts])
        rows = {pk: (status, attempt) for pk, status, attempt in found.values_list("pk", "status", "attempt")}
        for host in hosts:
            host.told = stop_for(host.block_run, rows.get(host.block_run.pk)) or host.told

    def reply(self, questions: Iterable[Question]) -> None:
        """Answer those whose run is finished or whose time is over."""
        ids = {question.wait.run_id for question in questions}
        runs = {run.pk: run for run in PipelineRun.objects.filter(pk__in=ids).select_related("pipeline")} if ids else {}
        for question in questions:
            run = runs.get(question.wait.run_id)
            if run is None or run.is_finished or question.is_due():
                if not pools.step_in(question.host.block_run):
                    continue  # its pool is full by now: tried again at the next look
                with self.lock:
                    if question not in self.questions:
                        continue
                    self.questions.remove(question)
                question.answer(as_answer(run, question.wait.run_id))

    def rest(self, ear: bell.Ear) -> None:
        """Sleep until a run ends or changes that somebody waits for, or until the next look is due."""
        until = time.monotonic() + LOOK_SECONDS
        while (left := until - time.monotonic()) > 0:
            with self.lock:
                runs = {f"run {question.wait.run_id}" for question in self.questions}
                times = [question.until for question in self.questions if question.until is not None]
            until = min([until, *times])
            if not runs.isdisjoint(ear.wait(max(0.0, min(left, until - time.monotonic())))):
                return
