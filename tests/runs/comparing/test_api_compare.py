"""GET /api/v1/pipeline_runs/{id}/compare/{other}."""

from datetime import datetime

import pytest

from tests.factories import make_client, make_pipeline, make_run
from tests.runs.comparing.pairs_of_runs import bad_run, block_of, good_run, wrote

pytestmark = pytest.mark.django_db


def test_it_tells_both_sides_of_each_block_and_where_logs_part(now: datetime) -> None:
    good, run = good_run(variables={"day": 1}), bad_run(variables={"day": 2})
    wrote(good, "clean", now, "fine")
    wrote(run, "clean", now, "broken")

    told = make_client().get(f"/api/v1/pipeline_runs/{run.pk}/compare/{good.pk}").json()

    clean = next(each for each in told["blocks"] if each["block_uuid"] == "clean")
    assert (told["run"], told["other"]) == (run.pk, good.pk)
    assert told["variables"] == [{"key": "day", "old": 1, "new": 2}]
    assert {"name": "State", "differs": True, "run": "failed", "other": "completed"} in told["facts"]
    assert clean["run"]["id"] == block_of(run, "clean").pk
    assert (clean["ratio"], clean["run"]["duration"], clean["other"]["duration"]) == (3.0, 30.0, 10.0)
    assert clean["log"] == {"line": 1, "run": {"text": "broken", "offset": 0}, "other": {"text": "fine", "offset": 0}}


def test_numbers_count_when_asked_for(now: datetime) -> None:
    old, new = good_run(), good_run()
    wrote(old, "load", now, "3 rows")
    wrote(new, "load", now, "4 rows")
    address = f"/api/v1/pipeline_runs/{new.pk}/compare/{old.pk}"

    assert make_client().get(address).json()["blocks"][0]["log"] is None
    assert make_client().get(f"{address}?numbers=count").json()["blocks"][0]["log"]["line"] == 1


@pytest.mark.parametrize(("query", "status"), [("numbers=all", 400), ("nombers=count", 400)])
def test_what_is_not_understood_is_refused(query: str, status: int) -> None:
    run = good_run()

    assert make_client().get(f"/api/v1/pipeline_runs/{run.pk}/compare/{run.pk}?{query}").status_code == status


def test_an_unknown_run_is_not_found() -> None:
    run = good_run()

    assert make_client().get(f"/api/v1/pipeline_runs/{run.pk}/compare/99999").status_code == 404
    assert make_client().get(f"/api/v1/pipeline_runs/99999/compare/{run.pk}").status_code == 404


def test_a_run_of_another_pipeline_is_refused() -> None:
    other = make_run(make_pipeline("other"))

    answer = make_client().get(f"/api/v1/pipeline_runs/{good_run().pk}/compare/{other.pk}")

    assert answer.status_code == 400
    assert "Name another run of etl" in answer.json()["hint"]
