"""The query string of the list of runs: what it chooses, what it refuses, and how little it reads for it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.http import QueryDict
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from runs.listing import filters
from runs.listing.filters import RunFilter, known_pipelines
from runs.models import Origin, PipelineRun
from runs.states import RunStatus
from tests.factories import NOON, make_pipeline, make_run

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def form(query: str, moment: datetime = NOON) -> RunFilter:
    return RunFilter(QueryDict(query), pipelines=known_pipelines(), moment=moment)


def chosen(query: str, but: str = "") -> list[PipelineRun]:
    return list(form(query).chosen(PipelineRun.objects.for_list(), but))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"failed", "manual", "other"}),
        ("status=failed", {"failed"}),
        ("origin=manual", {"manual"}),
        ("pipeline=other", {"other"}),
        ("status=failed&pipeline=other", set()),
        ("q=OTH", {"other"}),
        ("q=nightly", {"failed"}),
        ("trigger=7", {"failed"}),
        ("tag=sales", {"other"}),
        ("tag=none", set()),
        ("pipeline=gone", set()),
        ("since=24h", {"failed", "manual"}),
        ("until=24h", {"other"}),
        ("since=2025-03-01T12:00&until=2025-03-02", set()),
        ("since=2025-02-01&until=2025-03-02T12:00:01", {"failed", "manual", "other"}),
        ("longer=10m", {"manual"}),
        ("longer=60", {"manual", "other"}),
        ("status=failed&longer=1s", set()),
    ],
)
def test_a_filter_narrows_the_list(query: str, expected: set[str]) -> None:
    other = make_pipeline("other")
    other.tags = ["sales"]
    other.save()
    days_ago: dict[str, Any] = {"created_at": NOON - 50 * HOUR, "started_at": NOON - timedelta(minutes=2)}
    make_run(other, status=RunStatus.COMPLETED, origin=Origin.API, started_by="other", **days_ago)
    named: dict[str, Any] = {"trigger_id": 7, "trigger_name": "nightly", "started_by": "failed"}
    make_run(make_pipeline(), status=RunStatus.FAILED, origin=Origin.SCHEDULE, **named)
    make_run(started_by="manual", started_at=NOON - HOUR)

    assert {run.started_by for run in chosen(query)} == expected


@pytest.mark.parametrize("text", ["{}", "%23{}"])
def test_a_run_is_found_by_its_number(text: str) -> None:
    run = make_run()
    make_run()

    assert chosen(f"q={text.format(run.pk)}") == [run]


def test_a_number_that_no_run_has_is_text() -> None:
    run = make_run(make_pipeline("etl2025"))

    assert chosen("q=2025") == [run]
    assert chosen("q=99999999999999999999") == []


@pytest.mark.parametrize(
    "query",
    [
        "status=nonsense",
        "origin=x",
        "before=-1",
        "before=abc",
        "after=9999999999999999999999",
        "trigger=x",
        "q=%00",
        "tag=%00",
        "since=yesterday",
        "until=2025-13-45",
        "since=99999999w",
        "longer=soon",
        "order=sideways",
    ],
)
def test_a_filter_that_is_not_understood_is_named_and_left_out(query: str) -> None:
    run = make_run()
    asked = form(query)

    assert list(asked.chosen(PipelineRun.objects.for_list())) == [run]
    assert list(asked.errors) == [query.partition("=")[0]]


def test_a_moment_not_understood_is_told_what_would_be() -> None:
    assert "Write a span (24h, 7d) or a date" in str(form("since=soon").errors)


def test_paging_is_left_out_where_all_pages_are_meant() -> None:
    first, second = make_run(), make_run()

    assert chosen(f"before={second.pk}") == [first]
    assert chosen(f"before={second.pk}", but="before") == [second, first]


def test_what_no_index_answers_is_looked_for_among_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "WINDOW", 2)
    old, *_, new = (make_run(origin=origin) for origin in (Origin.API, Origin.MANUAL, Origin.API))

    assert chosen("origin=api") == [new]
    asked = form("origin=api")
    asked.is_valid()
    assert asked.is_slow
    assert asked.end_of_window() == old.pk + 1
    assert chosen(f"origin=api&before={old.pk + 1}") == [old]


def test_what_an_index_answers_is_looked_for_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filters, "WINDOW", 1)
    runs = [make_run(status=RunStatus.FAILED) for _ in range(3)]

    assert chosen("status=failed") == runs[::-1]


def test_what_is_handed_on_is_what_was_written() -> None:
    asked = form("since=24h&status=failed&nonsense=1&longer=")
    asked.is_valid()

    assert asked.used() == [("status", "failed"), ("since", "24h")]


def test_a_pipeline_that_is_gone_can_still_be_asked_for() -> None:
    gone = make_pipeline("gone")
    run = make_run(gone)
    gone.is_present = False
    gone.save()

    assert chosen("pipeline=gone") == [run]
    assert '<option value="gone" selected>' in str(form("pipeline=gone")["pipeline"])


def test_the_ends_of_a_time_are_looked_up_once(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    make_run()
    asked = form("since=24h&until=2025-03-09")

    with django_assert_num_queries(4):
        list(asked.chosen(PipelineRun.objects.for_list()))
        list(asked.chosen(PipelineRun.objects.for_list()))


@pytest.mark.parametrize(
    ("query", "zone", "since"),
    [
        ("since=2025-03-02", "UTC", "2025-03-02T00:00:00+00:00"),  # a link from before says no zone: it meant UTC
        ("since=2025-03-02&zone=Europe/Berlin", "Europe/Berlin", "2025-03-01T23:00:00+00:00"),
        ("since=2025-03-02T06:00Z&zone=Europe/Berlin", "Europe/Berlin", "2025-03-02T06:00:00+00:00"),
        ("since=2025-03-02&zone=Mars/Base", "UTC", "2025-03-02T00:00:00+00:00"),
        ("since=24h", "Asia/Kolkata", "2025-03-01T12:00:00+00:00"),
    ],
)
def test_a_day_is_one_of_the_zone_that_the_link_names(query: str, zone: str, since: str) -> None:
    with timezone.override("Asia/Kolkata"):  # whoever looks
        asked = form(query)

        assert asked.is_valid()
        assert asked.zone.key == zone
        assert asked.cleaned_data["since"].isoformat() == since


def test_the_zone_of_a_day_is_handed_on_and_is_no_filter_by_itself() -> None:
    asked, bare = form("since=2025-03-02&zone=Europe/Berlin"), form("zone=Europe/Berlin")

    assert asked.is_used
    assert asked.used() == [("since", "2025-03-02"), ("zone", "Europe/Berlin")]
    assert not bare.is_used
    assert bare.used() == []
