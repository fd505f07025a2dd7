"""Repeating a run: what runs again, what stands, and what another version of the pipeline changes."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from pipelines.models import Pipeline
from pipelines.refusal import Refusal
from runs import lifecycle
from runs.admission import NotAdmitted
from runs.models import BlockRun, Origin, PipelineRun
from runs.planning import RunSettings
from runs.retrying import repeating
from runs.retrying.repeat_plans import Plan
from runs.states import RunStatus
from tests.factories import make_pipeline
from tests.runs.outcomes import COMPLETED, FAILED, claim, drive, make_owner, statuses
from tests.runs.versions import coded, give_version

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
LOAD, CLEAN, SAVE = coded("load"), coded("clean", "load"), coded("save", "clean")
CODE = {"load": "load()", "clean": "clean()", "save": "save()"}


@pytest.fixture
def pipeline(ada: User) -> Pipeline:
    """load → clean → save, with code."""
    made = make_pipeline()
    give_version(made, [LOAD, CLEAN, SAVE], **CODE)
    return made


def ended(pipeline: Pipeline, moment: datetime, *, failing: str = "", **fields: Any) -> PipelineRun:
    """A run that was driven to its end; the `failing` block fails."""
    run = lifecycle.create_run(pipeline, moment=moment, origin=Origin.MANUAL, **fields)
    drive(run, moment, lambda uuid: FAILED if uuid == failing else COMPLETED)
    return run


def block(run: PipelineRun, uuid: str) -> BlockRun:
    return run.block_runs.get(block_uuid=uuid)


def again(plan: Plan) -> dict[str, str]:
    return {line.block_uuid: line.why for line in plan.again}


# --- as it was ----------------------------------------------------------------------------------------------------


def test_a_completed_run_is_repeated_as_a_whole(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now)

    assert repeating.retry(run, moment=now + SECOND, incomplete=False)

    assert drive(run, now + SECOND) == ["load", "clean", "save"]
    assert (run.status, run.attempt) == (RunStatus.COMPLETED, 2)


def test_a_completed_run_is_repeated_from_a_block_on(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now)

    repeating.retry(run, moment=now + SECOND, from_block="clean")

    assert drive(run, now + SECOND) == ["clean", "save"]
    assert block(run, "load").attempt == 1


def test_of_a_completed_run_nothing_is_incomplete(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now)

    with pytest.raises(Refusal, match="nothing of it is incomplete") as refusal:
        repeating.retry(run, moment=now)

    assert refusal.value.code == "conflict"
    assert (run.status, run.attempt) == (RunStatus.COMPLETED, 1)


def test_all_that_times_and_counts_is_set_anew(pipeline: Pipeline, now: datetime) -> None:
    settings = RunSettings(timeout=timedelta(hours=1), sla=timedelta(hours=2), retry_config={"retries": 1, "delay": 0})
    run = lifecycle.create_run(pipeline, moment=now, origin=Origin.MANUAL, settings=settings)
    lifecycle.finish_block(claim(run, "load", make_owner(now), now), FAILED, moment=now)
    lifecycle.cancel(run, moment=now, reason="")
    PipelineRun.objects.update(passed_sla=True)
    run.block_runs.update(losses=2, pokes=3, passed_sla=True)
    later = now + timedelta(days=1)

    repeating.retry(run, moment=later)

    run.refresh_from_db()
    row = block(run, "load")
    assert (run.started_at, run.deadline_at) == (later, later + timedelta(hours=1))
    assert (run.sla_at, run.passed_sla) == (later + timedelta(hours=2), False)
    assert (row.retries, row.losses, row.pokes, row.first_started_at, row.passed_sla) == (0, 0, 0, None, False)


def test_a_completed_run_has_to_find_room_too(now: datetime, ada: User) -> None:
    pipeline = make_pipeline(concurrency_config={"pipeline_run_limit": 1})
    run = ended(pipeline, now)
    lifecycle.create_run(pipeline, moment=now, origin=Origin.MANUAL)

    with pytest.raises(NotAdmitted, match="1 run of each trigger at a time"):
        repeating.retry(run, moment=now, incomplete=False)

    assert repeating.preview(run, moment=now, incomplete=False)[1].startswith("The limit was reached")


def test_the_event_says_what_was_asked_for(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now)

    repeating.retry(run, moment=now, by="ada", from_block="clean", version="current")

    event = run.events.get(kind="retried")
    assert event.message == "from clean on, with the current version, by ada"
    assert event.data == {"blocks": ["clean", "save"]}


def test_a_callback_is_no_block_to_repeat(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now, failing="clean")
    failed = block(run, "clean")
    run.block_runs.create(block_uuid="tell@clean", type="callback", role="callback", parent=failed, status="completed")

    plan, _ = repeating.preview(run, moment=now, incomplete=False)

    assert set(again(plan)) == {"load", "clean", "save"}


# --- foretold -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {"clean": "it failed", "save": "a block before it failed"}),
        (
            {"from_block": "load"},
            {"load": "it was asked for", "clean": "it failed", "save": "a block before it failed"},
        ),
        ({"incomplete": False}, dict.fromkeys(("load", "clean", "save"), "the whole run is repeated")),
    ],
)
def test_what_runs_again_is_foretold_with_its_reason(
    pipeline: Pipeline, now: datetime, asked: dict[str, Any], expected: dict[str, str]
) -> None:
    run = ended(pipeline, now, failing="clean")

    plan, refused = repeating.preview(run, moment=now, **asked)
    repeating.retry(run, moment=now, **asked)

    assert again(plan) == expected
    assert {line.block_uuid for line in plan.kept} == {"load", "clean", "save"} - set(expected)
    assert drive(run, now) == list(expected)
    assert refused == ""


def test_what_comes_after_a_block_is_told_so(pipeline: Pipeline, now: datetime) -> None:
    plan, _ = repeating.preview(ended(pipeline, now), moment=now, from_block="load")

    assert again(plan)["save"] == "it comes after load"


def test_a_preview_changes_nothing(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now, failing="clean")
    before = list(run.block_runs.order_by("id").values()), PipelineRun.objects.values().get()
    give_version(pipeline, [LOAD, coded("save", "load")], **CODE)

    repeating.preview(run, moment=now, version="current")

    assert before == (list(run.block_runs.order_by("id").values()), PipelineRun.objects.values().get())


def test_what_goes_on_has_no_preview(pipeline: Pipeline, now: datetime) -> None:
    run = lifecycle.create_run(pipeline, moment=now, origin=Origin.MANUAL)

    with pytest.raises(Refusal, match="only a finished run"):
        repeating.preview(run, moment=now)


# --- as it is by now ----------------------------------------------------------------------------------------------


def test_with_the_same_version_current_is_like_pinned(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now, failing="clean")

    plan, _ = repeating.preview(run, moment=now, version="current")

    assert plan.change is not None
    assert plan.change.pinned == plan.change.current
    assert set(again(plan)) == {"clean", "save"}


def test_changed_code_runs_again_with_all_after_it(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now, failing="save")
    current = give_version(pipeline, [LOAD, CLEAN, SAVE], **CODE | {"clean": "clean(better=True)"})

    plan, _ = repeating.preview(run, moment=now, version="current")
    repeating.retry(run, moment=now + SECOND, version="current")

    assert again(plan) == {"clean": "it has changed", "save": "it failed"}
    assert drive(run, now + SECOND) == ["clean", "save"]
    assert (run.status, run.version) == (RunStatus.COMPLETED, current)
    assert block(run, "load").output == [{"name": "output_0"}]


def test_a_completed_run_whose_pipeline_changed_runs_what_is_different(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now)
    give_version(pipeline, [LOAD, CLEAN, SAVE], **CODE | {"save": "save(elsewhere=True)"})

    repeating.retry(run, moment=now, version="current")

    assert drive(run, now) == ["save"]


def test_another_time_out_does_not_make_a_block_run_again(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now, failing="save")
    give_version(pipeline, [coded("load", timeout=9.0), CLEAN, SAVE], **CODE)

    repeating.retry(run, moment=now, version="current")

    assert drive(run, now) == ["save"]
    assert block(run, "load").timeout == timedelta(seconds=9)


def test_a_new_block_gets_a_row_and_what_is_after_it_runs_again(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now)
    give_version(pipeline, [LOAD, coded("more"), coded("clean", "load", "more"), SAVE], **CODE)

    plan, _ = repeating.preview(run, moment=now, version="current")
    repeating.retry(run, moment=now, version="current")

    assert again(plan)["more"] == "it is new in the current version"
    assert sorted(drive(run, now)) == ["clean", "more", "save"]
    assert [row.block_uuid for row in run.block_runs.order_by("position")] == ["load", "more", "clean", "save"]
    assert block(run, "clean").upstream == ["load", "more"]


def test_a_block_that_is_gone_leaves_only_an_event(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now, failing="clean")
    give_version(pipeline, [LOAD, coded("save", "load")], **CODE)

    plan, _ = repeating.preview(run, moment=now, version="current")
    repeating.retry(run, moment=now, version="current")

    assert [line.block_uuid for line in plan.removed] == ["clean"]
    assert set(statuses(run)) == {"load", "save"}
    event = run.events.get(kind="block_removed")
    assert event.data == {"block": "clean", "attempts": [{"number": 1, "ended_as": "failed"}]}
    assert run.events.filter(kind="block_failed").exists(), "what was told of it stays"
    assert drive(run, now) == ["save"]


def test_a_run_whose_only_failure_is_gone_ends_at_once(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now, failing="save")
    give_version(pipeline, [LOAD, CLEAN], **CODE)

    repeating.retry(run, moment=now, version="current")

    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED


def test_variables_that_the_pipeline_gives_are_those_it_gives_now(ada: User, now: datetime) -> None:
    pipeline = make_pipeline(variables={"units": "metric", "day": "mon", "old": 1})
    run = ended(pipeline, now, failing="clean", variables={"day": "tue"})
    version = give_version(pipeline, [LOAD, CLEAN, SAVE])
    version.settings = {"variables": {"units": "imperial", "day": "wed"}}
    version.save()

    plan, _ = repeating.preview(run, moment=now, version="current")
    repeating.retry(run, moment=now, version="current")

    run.refresh_from_db()
    assert run.variables == {"units": "imperial", "day": "tue"}
    assert run.variable_origins == {"units": "pipeline", "day": "run"}
    assert plan.change is not None
    assert {setting.key for setting in plan.change.variables} == {"units", "old"}


def test_a_run_of_one_block_stays_one(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now, failing="clean", only_block="clean")
    give_version(pipeline, [LOAD, CLEAN, SAVE], **CODE | {"load": "other()"})

    repeating.retry(run, moment=now, version="current")

    assert set(statuses(run)) == {"clean"}


def test_a_pipeline_that_is_broken_by_now_can_only_be_repeated_as_it_was(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now, failing="clean")
    Pipeline.objects.update(is_valid=False, problems=[{"file": "metadata.yaml", "line": 3, "reason": "a cycle."}])

    with pytest.raises(Refusal, match="a cycle"):
        repeating.retry(run, moment=now, version="current")

    assert repeating.retry(run, moment=now)


def test_a_pipeline_that_is_gone_can_only_be_repeated_as_it_was(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now, failing="clean")
    Pipeline.objects.update(is_present=False)

    with pytest.raises(Refusal, match="no pipeline"):
        repeating.retry(run, moment=now, version="current")

    assert repeating.retry(run, moment=now)


def test_how_many_runs_may_go_on_is_as_the_current_version_says(pipeline: Pipeline, now: datetime) -> None:
    run = ended(pipeline, now, failing="clean")
    version = give_version(pipeline, [LOAD, CLEAN, SAVE])
    version.settings = {"concurrency_config": {"pipeline_run_limit": 1}}
    version.save()
    lifecycle.create_run(pipeline, moment=now, origin=Origin.MANUAL)

    with pytest.raises(NotAdmitted):
        repeating.retry(run, moment=now, version="current")

    assert "1 run of each trigger" in repeating.preview(run, moment=now, version="current")[1]
    assert repeating.retry(run, moment=now)
