"""The view of a pipeline's year."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from orchestrator_site.pipeline_views import calendar_page
from pipelines.models import Pipeline
from runs.states import RunStatus
from tests.factories import make_pipeline, make_run, make_schedule, text_of

pytestmark = pytest.mark.django_db
NOW = datetime(2025, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def etl(db: None, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A pipeline with two runs on the first of March 2025, seen a day later."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    pipeline = make_pipeline()
    for hour, status in ((6, RunStatus.COMPLETED), (7, RunStatus.FAILED)):
        make_run(pipeline, status=status, execution_date=datetime(2025, 3, 1, hour, tzinfo=UTC))
    return pipeline


def show(page: Client, **query: str) -> Any:
    return page.get("/pipelines/etl/calendar/", query)


def kinds(answer: Any) -> dict[date, str]:
    return {day.date: day.kind for day in answer.context["calendar"].days}


def test_a_day_with_runs_leads_to_its_hours(page: Client, etl: Pipeline) -> None:
    answer = show(page)

    assert kinds(answer)[date(2025, 3, 1)] == "bad"
    assert 'href="?year=2025&amp;day=2025-03-01&amp;zone=UTC#day"' in text_of(answer)
    assert "Sat 1 Mar 2025: 2 runs" in text_of(answer)


def test_the_hours_of_a_day_and_its_runs_are_shown(page: Client, etl: Pipeline) -> None:
    answer = show(page, day="2025-03-01")

    assert [hour.label for hour in answer.context["hours"] if hour.counts] == ["06", "07"]
    assert [row["run"].status for row in answer.context["runs"]] == ["completed", "failed"]
    assert "Saturday, 1 March 2025" in text_of(answer)


def test_a_day_without_runs_says_so(page: Client, etl: Pipeline) -> None:
    assert "No run stands for this day." in text_of(show(page, day="2025-02-01"))


def test_days_are_those_of_the_viewer_and_a_link_says_whose(page: Client, etl: Pipeline) -> None:
    page.cookies["zone"] = "Asia/Tokyo"
    make_run(etl, execution_date=datetime(2025, 2, 10, 15, 30, tzinfo=UTC))  # half past midnight there

    text = text_of(show(page))

    assert 'href="?year=2025&amp;day=2025-02-11&amp;zone=Asia%2FTokyo#day"' in text
    assert "days by the clocks of Asia/Tokyo," in text
    assert show(page, zone="UTC", day="2025-02-10").context["runs"]
    assert "days by the clocks of UTC (or" in text_of(show(page, zone="UTC"))


def test_the_days_of_the_trigger_can_be_looked_at_and_planned_ones_are_outlined(page: Client, etl: Pipeline) -> None:
    make_schedule(etl, schedule_interval="0 6 * * 1", timezone="Asia/Tokyo", next_due_at=NOW)

    assert 'zone=Asia%2FTokyo">Asia/Tokyo</a>' in text_of(show(page))
    answer = show(page, zone="Asia/Tokyo")

    assert answer.context["zone"] == "Asia/Tokyo"
    assert [day for day, kind in kinds(answer).items() if kind == "planned"][:2] == [
        date(2025, 3, 3),
        date(2025, 3, 10),
    ]


def test_paused_triggers_plan_nothing(page: Client, etl: Pipeline) -> None:
    make_schedule(etl, is_active=False)

    assert "planned" not in kinds(show(page)).values()


def test_the_next_year_can_be_looked_at(page: Client, etl: Pipeline) -> None:
    assert show(page, year="2026").context["calendar"].year == 2026
    assert list(show(page).context["years"]) == [2026, 2025]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"year": "1999"}, "There is nothing for the year 1999: 2025 to 2026 can be shown."),
        ({"year": "x"}, "There is nothing for the year x"),
        ({"day": "yesterday"}, "yesterday is not a day; write it as"),
        ({"day": "2025-02-30"}, "2025-02-30 is not a day"),
        ({"zone": "Mars/Base"}, "Mars/Base is no zone"),
    ],
)
def test_what_cannot_be_shown_is_told(page: Client, etl: Pipeline, query: dict[str, str], words: str) -> None:
    answer = show(page, **query)

    assert answer.status_code == 200
    assert words in text_of(answer)


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_day_at_the_end_of_time_is_refused(page: Client, etl: Pipeline, day: str) -> None:
    assert f"{day} is too far away: from 1970 to 2199" in text_of(show(page, day=day))


def test_a_trigger_in_an_unknown_zone_leaves_utc(page: Client, etl: Pipeline) -> None:
    make_schedule(etl, timezone="Nowhere/Land")

    assert show(page).context["zone"] == "UTC"


def test_only_so_many_runs_of_a_day_are_listed(page: Client, etl: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendar_page, "MOST_RUNS", 1)

    answer = show(page, day="2025-03-01")

    assert len(answer.context["runs"]) == 1
    assert "These are the first 1 of the day." in text_of(answer)


def test_months_are_the_table_of_the_year(page: Client, etl: Pipeline) -> None:
    assert '<td>March</td><td class="right num">2</td>' in text_of(show(page))
