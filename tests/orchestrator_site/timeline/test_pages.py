"""The page of the timeline: lanes, the same as a table, filters, and what it costs."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from pipelines.models import Pipeline
from runs.models import PipelineRun
from runs.states import BlockStatus, RunStatus
from schedules.models import Decision, MaintenanceWindow, Occurrence
from tests.factories import make_pipeline, make_run, make_schedule, text_of

pytestmark = pytest.mark.django_db
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def ended(pipeline: Pipeline, status: RunStatus = RunStatus.COMPLETED, ago: timedelta = HOUR) -> int:
    at = timezone.now() - ago
    times = {"created_at": at - 5 * MINUTE, "started_at": at - 4 * MINUTE, "completed_at": at}
    return make_run(pipeline, status=status, blocks={"load": BlockStatus.COMPLETED}, **times).pk


def test_a_run_is_a_link_that_says_how_it_went(page: Client) -> None:
    pk = ended(make_pipeline(), RunStatus.FAILED)

    text = text_of(page.get("/timeline/"))

    assert re.search(rf'<a class="t-bad" href="/runs/{pk}/" tabindex="-1"><title>run {pk}, failed: due ', text)
    assert "waited 1 min 00 s, ran 4 min 00 s</title>" in text


def test_what_is_expected_missed_and_held_back_by_a_window_is_drawn(page: Client) -> None:
    now = timezone.now()
    schedule = make_schedule(name="soon", schedule_interval="@hourly", decided_until=now, next_due_at=now + MINUTE)
    Occurrence.objects.create(
        pipeline=schedule.pipeline,
        schedule=schedule,
        scheduled_for=now - HOUR,
        decision=Decision.MISSED,
        reason="No scheduler was at work.",
        decided_at=now,
    )
    MaintenanceWindow.objects.create(name="upkeep", scope="pipeline", value="etl", starts_at=now, ends_at=now + HOUR)

    text = text_of(page.get("/timeline/"))

    assert 'class="mark-expected"' in text
    assert re.search(r"<title>missed [^<]*: No scheduler was at work\.</title>", text)
    assert 'fill="url(#hatch-bad)"' in text
    assert "<title>maintenance window upkeep (hold starts and mute alerts): " in text


def test_many_runs_become_cells_that_lead_to_the_failed_ones(page: Client) -> None:
    pipelines = [make_pipeline(f"p{number}") for number in range(30)]
    for number in range(20):
        ended(pipelines[0], RunStatus.FAILED if number == 3 else RunStatus.COMPLETED)
    ended(pipelines[1])

    answer = page.get("/timeline/")

    dense, sparse, *_ = answer.context["lanes"]
    assert (len(dense.bars), dense.counts) == (0, {"completed": 19, "failed": 1})
    assert (len(sparse.bars), len(sparse.cells)) == (1, 0)
    assert 'href="/runs/?pipeline=p0&amp;status=failed"' in text_of(answer)


def test_a_drawing_of_very_many_runs_stays_small(page: Client) -> None:
    for number in range(12):
        run = PipelineRun.objects.get(pk=ended(make_pipeline(f"p{number}"), RunStatus.FAILED))
        values = {field.attname: getattr(run, field.attname) for field in run._meta.fields if not field.primary_key}
        PipelineRun.objects.bulk_create(
            PipelineRun(**values | {"completed_at": timezone.now() - number * MINUTE / 2}) for number in range(80)
        )

    answer = page.get("/timeline/?hours=1")

    assert all(lane.cells for lane in answer.context["lanes"])
    assert answer.context["elements"] < 3000
    assert text_of(answer).count("<rect") < 3000


def test_the_same_is_told_as_a_table(page: Client) -> None:
    pipeline = make_pipeline()
    ended(pipeline), ended(pipeline, RunStatus.FAILED)
    make_run(pipeline, created_at=timezone.now())

    answer = page.get("/timeline/?view=table")

    (lane,) = answer.context["lanes"]
    assert (lane.counts, lane.going_on) == ({"completed": 1, "failed": 1, "running": 1}, 1)
    assert "<svg width" not in text_of(answer).partition('id="live"')[2]
    assert "As a drawing" in text_of(answer)


def test_lanes_are_grouped_and_narrowed(page: Client) -> None:
    for uuid, owner, tags in (("a", "ada", ["x"]), ("b", "grace", ["x", "y"]), ("c", "", [])):
        make_pipeline(uuid)
        Pipeline.objects.filter(uuid=uuid).update(owner=owner, tags=tags)

    def groups(query: str) -> list[str]:
        return [group.name for group in page.get(f"/timeline/{query}").context["groups"]]

    assert groups("") == ["x", "without a tag"]
    assert groups("?group=owner") == ["ada", "grace", "without an owner"]
    assert groups("?group=owner&tag=y") == ["grace"]
    assert groups("?q=c") == ["without a tag"]


def test_the_axis_is_in_the_zone_that_was_asked_for(page: Client) -> None:
    make_pipeline()

    text = text_of(page.get("/timeline/?zone=Asia/Tokyo&until=2025-03-02T12:00:00Z"))

    assert "Sat 1 Mar 21:00 – Sun 2 Mar 21:00" in text
    assert ">Asia/Tokyo</span>" in text
    assert ">Now</a>" in text


@pytest.mark.parametrize("until", ["12:00", "15:00", "18:00", "21:00"])
def test_a_narrow_axis_keeps_the_mark_of_the_new_day(page: Client, until: str) -> None:
    make_pipeline()

    ticks = page.get(f"/timeline/?until=2025-03-02T{until}:00Z").context["ticks"]

    assert [(tick["label"], tick["is_odd"]) for tick in ticks if tick["is_major"]] == [("Sun 2 Mar", False)]


def test_a_filter_that_makes_no_sense_is_told(page: Client) -> None:
    make_pipeline()

    answer = page.get("/timeline/?hours=5&zone=Mars&state=%3Cb%3E&page=zzz")

    assert answer.status_code == 200
    assert "hours: Select a valid choice." in text_of(answer)
    assert "zone: Unknown time zone." in text_of(answer)
    assert "<b>" not in text_of(answer).partition("note-error")[2]


def test_hostile_names_are_shown_as_text(page: Client) -> None:
    make_pipeline("etl")
    Pipeline.objects.update(name='"><script>alert(1)</script>', tags=["<i>t</i>"], owner="<u>o</u>")
    ended(Pipeline.objects.get())
    now = timezone.now()
    make_schedule(name="</title><b>s</b>", schedule_interval="@hourly", decided_until=now, next_due_at=now + MINUTE)

    text = text_of(page.get("/timeline/")) + text_of(page.get("/timeline/?group=owner&view=table"))

    assert "&lt;b&gt;s&lt;/b&gt;" in text
    assert "<b>s" not in text
    assert "<script>alert" not in text
    assert "<i>t" not in text
    assert "<u>o" not in text


def test_an_empty_timeline_says_what_would_be_there(page: Client) -> None:
    assert "There is no pipeline in the project yet." in text_of(page.get("/timeline/"))
    make_pipeline()
    assert "No pipeline fits these filters." in text_of(page.get("/timeline/?q=zzz"))


def test_a_refresh_gets_the_live_region_alone(page: Client) -> None:
    text = text_of(page.get("/timeline/", headers={"HX-Request": "true", "HX-Target": "live"}))

    assert text.lstrip().startswith('<div id="live"')
    assert "<html" not in text


def test_load_and_timeline_lead_to_each_other(page: Client) -> None:
    for address in ("/timeline/", "/load/"):
        text = text_of(page.get(address))
        assert 'href="/timeline/"' in text
        assert 'href="/load/"' in text


def test_any_number_of_pipelines_costs_the_same(
    page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    now = timezone.now()
    for number in range(8):
        pipeline = make_pipeline(f"p{number}")
        ended(pipeline)
        make_schedule(pipeline, decided_until=now, next_due_at=now + MINUTE, settings={"calendar": "none"})

    with django_assert_max_num_queries(18):
        page.get("/timeline/?state=completed")
