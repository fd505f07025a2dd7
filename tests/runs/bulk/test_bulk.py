"""One verb for many runs: told first, done to exactly those."""

from datetime import datetime
from typing import Any

import pytest

from pipelines.refusal import Refusal
from runs.bulk import verbs as bulk
from runs.models import PipelineRun
from runs.states import BlockStatus, RunStatus
from tests.factories import make_pipeline, make_run

pytestmark = pytest.mark.django_db
FAILED = {"load": BlockStatus.FAILED, "clean": BlockStatus.UPSTREAM_FAILED, "save": BlockStatus.UPSTREAM_FAILED}
RETRY, CANCEL = bulk.Order(verb="retry"), bulk.Order(verb="cancel")


def failed(count: int = 2, **fields: Any) -> list[PipelineRun]:
    return [make_run(status=RunStatus.FAILED, blocks=FAILED, **fields) for _ in range(count)]


def do(order: bulk.Order, moment: datetime, token: str | None = None) -> list[bulk.Result]:
    runs = PipelineRun.objects.all()
    token = bulk.preview(runs, order, {}).token if token is None else token
    return bulk.perform(runs, order, {}, token, moment=moment, by="ada")


def test_a_verb_is_for_the_runs_that_it_means_something_for() -> None:
    running, (broken, _) = make_run(), failed()
    done = make_run(status=RunStatus.COMPLETED, is_kept=True)

    def ids(**order: Any) -> list[int]:
        return list(bulk.preview(PipelineRun.objects.all(), bulk.Order(**order), {}).ids)

    assert ids(verb="cancel") == [running.pk]
    assert ids(verb="retry") == [broken.pk, broken.pk + 1]
    assert ids(verb="retry", whole=True) == [broken.pk, broken.pk + 1, done.pk]
    assert ids(verb="unkeep") == [done.pk]
    assert len(ids(verb="keep")) == 3


def test_every_run_that_was_told_is_done(now: datetime) -> None:
    runs = failed(3)

    results = do(RETRY, now)

    assert [(result.id, result.done) for result in results] == [(run.pk, True) for run in runs]
    assert set(PipelineRun.objects.values_list("status", "attempt")) == {("running", 2)}


def test_what_matches_otherwise_by_now_is_left_alone(now: datetime) -> None:
    failed()
    token = bulk.preview(PipelineRun.objects.all(), RETRY, {}).token
    failed(1)

    with pytest.raises(Refusal, match="3 runs by now") as refusal:
        do(RETRY, now, token)

    assert refusal.value.code == "conflict"
    assert set(PipelineRun.objects.values_list("status", flat=True)) == {"failed"}


@pytest.mark.parametrize("order", [bulk.Order(verb="retry", whole=True), bulk.Order(verb="keep")])
def test_a_token_is_for_one_order_only(now: datetime, order: bulk.Order) -> None:
    failed()
    token = bulk.preview(PipelineRun.objects.all(), RETRY, {}).token

    with pytest.raises(Refusal):
        do(order, now, token)


def test_a_token_is_for_one_filter_only() -> None:
    failed()
    runs = PipelineRun.objects.all()

    assert bulk.preview(runs, RETRY, {"q": "etl"}).token != bulk.preview(runs, RETRY, {}).token


def test_one_run_that_cannot_does_not_keep_the_others_from_it(now: datetime) -> None:
    pipeline = make_pipeline(concurrency_config={"pipeline_run_limit": 1})
    first, second = failed(2, pipeline=pipeline)

    results = do(RETRY, now)

    assert [result.done for result in results] == [True, False]
    assert "1 run of each trigger at a time" in results[1].reason
    second.refresh_from_db()
    assert second.status == RunStatus.FAILED


def test_runs_are_cancelled_with_the_reason_that_was_given(now: datetime) -> None:
    run = make_run()

    do(bulk.Order(verb="cancel", reason="not needed"), now)

    run.refresh_from_db()
    assert (run.status, run.reason) == (RunStatus.CANCELLED, "not needed")


def test_runs_are_kept_and_left(now: datetime) -> None:
    failed()

    do(bulk.Order(verb="keep"), now)
    assert PipelineRun.objects.filter(is_kept=True).count() == 2
    do(bulk.Order(verb="unkeep"), now)
    assert not PipelineRun.objects.filter(is_kept=True).exists()


def test_more_than_a_thousand_are_too_many(now: datetime) -> None:
    template = make_run(status=RunStatus.FAILED)
    rows = [PipelineRun(**{**fields_of(template), "id": None}) for _ in range(bulk.MOST)]
    PipelineRun.objects.bulk_create(rows)

    with pytest.raises(Refusal, match="1,001 runs match; the limit is 1,000"):
        bulk.preview(PipelineRun.objects.all(), RETRY, {})


def fields_of(run: PipelineRun) -> dict[str, Any]:
    return {field.attname: getattr(run, field.attname) for field in run._meta.concrete_fields}


def test_none_is_said_to_be_none() -> None:
    make_run()

    with pytest.raises(Refusal, match="None of these runs can be retried"):
        bulk.preview(PipelineRun.objects.all(), RETRY, {})


def test_a_sample_shows_the_first_of_many() -> None:
    runs = failed(bulk.SAMPLE + 2)

    told = bulk.preview(PipelineRun.objects.all(), RETRY, {})

    assert (told.count, [run.pk for run in told.sample]) == (22, [run.pk for run in runs[:20]])
