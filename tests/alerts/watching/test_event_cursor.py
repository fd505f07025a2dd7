"""Events are read in order, each at least once: also those whose numbers come before but whose commits come after."""

from datetime import timedelta

import pytest
from django.db import connection

from alerts.models import Bookmark
from alerts.watching.event_cursor import LATEST, EventCursor
from runs.models import Event, PipelineRun
from tests.factories import NOON, make_run

pytestmark = pytest.mark.django_db


def write(run: PipelineRun, number: int) -> None:
    Event.objects.create(pk=number, pipeline_run=run, kind="started", happened_at=NOON)


def read(cursor: EventCursor) -> list[int]:
    found = [line.id for line in cursor.news(NOON)]
    cursor.save(NOON)
    return found


def position() -> int:
    return Bookmark.objects.get(name="events").position


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> PipelineRun:
    monkeypatch.setattr(connection, "vendor", "postgresql")  # what is missing is looked for there only
    return make_run()


def test_it_begins_behind_what_is_there(run: PipelineRun) -> None:
    write(run, 1000)
    cursor = EventCursor()
    assert read(cursor) == []
    write(run, 1001)
    assert read(cursor) == [1001]
    assert position() == 1001


def test_what_is_committed_late_is_read_with_all_that_came_after(run: PipelineRun) -> None:
    write(run, 1000)
    cursor = EventCursor()
    read(cursor)
    for number in (1002, 1003, 1005):
        write(run, number)
    assert read(cursor) == [1002, 1003, 1005]
    assert position() == 1000
    assert read(cursor) == []
    write(run, 1004)
    assert read(cursor) == [1004, 1005]
    assert position() == 1000
    write(run, 1001)
    assert read(cursor) == [1001, 1002, 1003, 1004, 1005]
    assert position() == 1005


def test_who_begins_anew_reads_from_before_what_is_missing(run: PipelineRun) -> None:
    write(run, 1000)
    read(EventCursor())
    first = EventCursor()
    for number in (1001, 1003):
        write(run, number)
    assert read(first) == [1001, 1003]
    write(run, 1002)
    assert read(EventCursor()) == [1002, 1003]


def test_a_number_that_stays_missing_is_given_up(run: PipelineRun) -> None:
    write(run, 1000)
    cursor = EventCursor()
    read(cursor)
    write(run, 1002)
    read(cursor)
    assert [line.id for line in cursor.news(NOON + LATEST)] == []
    cursor.save(NOON + LATEST)
    assert position() == 1002


def test_what_is_old_has_no_gaps_that_matter(run: PipelineRun) -> None:
    write(run, 1000)
    cursor = EventCursor()
    read(cursor)
    write(run, 5_000_000)
    cursor.news(NOON + LATEST + timedelta(seconds=1))
    assert not cursor.gaps


def test_one_does_not_read_what_another_has_dealt_with(run: PipelineRun) -> None:
    write(run, 1000)
    first, second = EventCursor(), EventCursor()
    read(first)
    read(second)
    write(run, 1001)
    assert read(first) == [1001]
    assert read(second) == []
