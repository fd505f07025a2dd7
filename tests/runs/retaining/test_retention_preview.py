"""What would go, told before it goes: in the API and on the page."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from pipelines.stored_folders import Held
from runs.models import PipelineRun, Removal
from runs.retaining import retention, retention_preview
from runs.retaining.retention_preview import Going
from tests.factories import JSONClient, make_client, make_pipeline, text_of
from tests.runs.kept import days_later, old_run, pipeline_with, with_files

pytestmark = pytest.mark.django_db
LATER = days_later(100)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, settings: Any) -> None:
    settings.LOGS_URL, settings.VARIABLES_URL = str(tmp_path / "logs"), str(tmp_path / "variables")


@pytest.fixture
def api(db: None) -> JSONClient:
    return make_client()


def two_old_runs(uuid: str = "etl") -> list[PipelineRun]:
    """A pipeline with two runs whose everything is due to go, and one that stays."""
    pipeline = pipeline_with(uuid, runs={"age": 720}, logs={"count": 2})
    runs = [with_files(old_run(pipeline)), with_files(old_run(pipeline))]
    old_run(pipeline, timezone.now())
    return runs


def test_runs_are_counted_and_their_files_weighed() -> None:
    two_old_runs()

    (found,) = retention_preview.preview(retention.policies(), LATER)

    assert found.going["runs"].runs == 2
    assert found.going["runs"].files is not None
    assert found.going["runs"].files.files == 12


def test_files_of_very_many_runs_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    two_old_runs()
    monkeypatch.setattr(retention_preview, "MOST_WEIGHED", 1)

    (found,) = retention_preview.preview(retention.policies(), LATER)

    assert found.going["runs"] == Going(2, None)


def test_files_in_an_object_store_are_not_looked_at(settings: Any) -> None:
    two_old_runs()
    settings.VARIABLES_URL = "s3://bucket/variables"

    (found,) = retention_preview.preview(retention.policies(), LATER)

    assert found.going["runs"].files is None


def test_looking_removes_nothing() -> None:
    two_old_runs()

    retention_preview.preview(retention.policies(), LATER)

    assert PipelineRun.objects.count() == 3
    assert not Removal.objects.exists()


def test_a_preview_of_many_pipelines_is_as_many_queries_as_of_one(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(10):
        two_old_runs(f"p{number}")
    policies = retention.policies()

    with django_assert_num_queries(4):
        assert len(retention_preview.preview(policies, LATER, weighs=False)) == 10


def test_the_api_says_the_rules_and_what_would_go(api: JSONClient) -> None:
    two_old_runs()
    make_pipeline("forever")

    (found,) = api.get("/api/v1/retention/").json()["results"]

    assert found["pipeline_uuid"] == "etl"
    assert found["rules"]["runs"] == {"age_hours": 720, "count": None, "in_words": "older than 30 d"}
    assert found["rules"]["outputs"]["in_words"] == "kept for ever"
    assert found["would_go"]["runs"]["runs"] == 2
    assert found["would_go"]["outputs"] == {"runs": 0, "files": 0, "bytes": 0}


def test_the_api_answers_for_one_pipeline_and_page_by_page(api: JSONClient) -> None:
    for uuid in ("a", "b"):
        pipeline_with(uuid, runs={"age": 720})

    assert [row["pipeline_uuid"] for row in api.get("/api/v1/retention/?pipeline_uuid=b").json()["results"]] == ["b"]
    first = api.get("/api/v1/retention/?limit=1").json()
    assert [row["pipeline_uuid"] for row in first["results"]] == ["a"]
    assert [row["pipeline_uuid"] for row in api.get(first["next"]).json()["results"]] == ["b"]


def test_the_page_says_what_goes_and_when(page: Client) -> None:
    two_old_runs()
    make_pipeline("forever")

    text = text_of(page.get("/system/retention/"))

    assert "older than 30 d" in text
    assert "beyond the newest 2" in text
    assert "1 pipeline without a rule keeps everything." in text


def test_the_page_without_rules_says_that_all_is_kept_and_how_a_rule_is_made(page: Client) -> None:
    make_pipeline()

    text = text_of(page.get("/system/retention/"))

    assert "No pipeline has a rule: every run stays" in text
    assert "retention: {runs: {age: 90d}" in text


def test_the_page_tells_what_cannot_be_removed(page: Client) -> None:
    Removal.objects.create(run_id=7, kind="runs", decided_at=LATER, problem="/logs/7: Permission <denied>")

    text = text_of(page.get("/system/retention/"))

    assert "Some files cannot be removed" in text
    assert "Permission &lt;denied&gt;" in text


@pytest.mark.parametrize("pipelines", [1, 20])
def test_the_page_costs_as_many_queries_for_many_pipelines(
    page: Client, django_assert_num_queries: DjangoAssertNumQueries, pipelines: int
) -> None:
    for number in range(pipelines):
        two_old_runs(f"p{number}")

    with django_assert_num_queries(19):  # two for the header, two for what goes by settings
        page.get("/system/retention/")


def test_what_is_not_readable_weighs_nothing(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "logs").symlink_to("logs")

    assert retention_preview.held_by(1, "logs") == Held()
