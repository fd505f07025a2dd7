"""The command that plans and starts a backfill."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from pipelines import catalog
from pipelines.models import Pipeline
from runs.states import RunStatus
from schedules.models import Backfill, Occurrence
from tests.factories import FEBRUARY, make_run, make_schedule

pytestmark = pytest.mark.django_db
RANGE = ("--start", "2025-02-01T00:00Z", "--end", "2025-02-03T00:00Z")
Call = Callable[..., str]
PROJECT = {
    "metadata.yaml": "project_type: standalone\n",
    "pipelines/chain/metadata.yaml": "name: chain\nblocks:\n- {uuid: load, type: data_loader}\n",
    "data_loaders/load.py": "@data_loader\ndef load(**_):\n    return 1\n",
}


@pytest.fixture
def backfill(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call it for the pipeline `chain` of a project that has no other; returns what it wrote to stdout."""
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    settings.PROJECT_DIR = tmp_path
    monkeypatch.setenv("ORCHESTRATOR_PROJECT", str(settings.PROJECT_DIR))
    monkeypatch.setattr(type(connections), "close_all", lambda _: None)  # the test's transaction is on it
    catalog.refresh(settings.PROJECT_DIR)

    def call(*args: str) -> str:
        out = StringIO()
        call_command("backfill", "chain", *args, stdout=out)
        return out.getvalue()

    return call


@pytest.fixture
def chain(backfill: Call) -> Pipeline:
    return Pipeline.objects.get(uuid="chain")


def test_a_dry_run_shows_every_slot_and_starts_nothing(backfill: Call, chain: Pipeline) -> None:
    done = make_run(chain, status=RunStatus.COMPLETED, execution_date=FEBRUARY)

    lines = backfill(*RANGE, "--dry-run", "--limit", "2").splitlines()

    assert lines == [
        f"    2025-02-01T00:00:00+00:00  completed  run {done.pk}",
        "  → 2025-02-02T00:00:00+00:00  missing",
        "  → 2025-02-03T00:00:00+00:00  missing",
        "chain: 3 slots: 2 missing, 1 completed",
        "2 would be run (→), 2 at a time; nothing was started",
    ]
    assert not Occurrence.objects.exists()
    assert not Backfill.objects.exists()


def test_what_is_asked_for_is_kept(backfill: Call) -> None:
    text = backfill(*RANGE, "--limit", "3", "--newest-first", "--which", "all", "-v", "full=true", "--name", "May")

    found = Backfill.objects.get()
    assert text.splitlines()[-1] == f"backfill {found.pk} (May): 3 wait for the scheduler, 3 at a time"
    assert (found.run_limit, found.newest_first, found.which, found.name) == (3, True, "all", "May")
    assert (found.variables, found.priority, found.interval_type) == ({"full": True}, 50, "day")
    assert found.created_by
    assert Occurrence.objects.filter(backfill=found, decision="waiting").count() == 3


def test_the_json_is_the_shape_that_scripts_rely_on(backfill: Call) -> None:
    said = json.loads(backfill("--start", "2025-02-01T00:00Z", "--end", "2025-02-01T00:00Z", "--json"))

    assert said == {
        "backfill": Backfill.objects.get().pk,
        "pipeline": "chain",
        "schedule": None,
        "counts": {"missing": 1},
        "to_run": 1,
        "slots": [
            {
                "slot": "2025-02-01T00:00:00Z",
                "local": "2025-02-01T00:00:00+00:00",
                "interval_end": "2025-02-02T00:00:00Z",
                "state": "missing",
                "pipeline_run": None,
                "to_run": True,
            }
        ],
    }


def test_a_trigger_gives_its_moments_and_its_zone(backfill: Call, chain: Pipeline) -> None:
    schedule = make_schedule(chain, name="mornings", schedule_interval="0 6 * * *", timezone="Europe/Berlin")

    backfill("--start", "2025-02-01", "--end", "2025-02-02", "--schedule", "mornings")

    assert Occurrence.objects.get().schedule == schedule
    assert Occurrence.objects.get().scheduled_for == datetime(2025, 2, 1, 5, tzinfo=UTC)
    assert Backfill.objects.get().timezone == "Europe/Berlin"


def test_a_time_without_offset_is_the_wall_clock_of_the_zone_that_is_given(backfill: Call) -> None:
    backfill("--start", "2025-02-01", "--end", "2025-02-01T23:00", "--timezone", "Asia/Tokyo")

    assert Backfill.objects.get().start_at == datetime(2025, 1, 31, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("args", "field", "words"),
    [
        (["--start", "2025-13-01"], "start", "is not a date and time"),
        (["--start", "2025-02-01"], "start", "has no zone"),
        (["--end", "2025-01-01T00:00Z"], "start", "Start must be before end."),
        (["--end", "2100-01-01T00:00Z"], "end", "in the future"),
        (["--interval", "dayly"], "interval", "Use one of: "),
        (["--interval", "second"], "end", "172 801 runs; the limit is 10 000"),
        (["--units", "0"], "units", "from 1 to"),
        (["--limit", "0"], "limit", "at least 1"),
        (["--limit", "many"], "arguments", "invalid int value"),
        (["--which", "some"], "which", "missing, failed, all"),
        (["--timezone", "Europe/Berln"], "timezone", "Did you mean Europe/Berlin?"),
        (["--schedule", "nightly"], "schedule", "It has none."),
        (["-v", "full"], "variables", "-v needs NAME=VALUE"),
        (["--priority", "5000"], "priority", "-1000 to 1000"),
    ],
)
def test_bad_input_ends_with_2_names_the_option_and_starts_nothing(
    backfill: Call, capsys: pytest.CaptureFixture[str], args: list[str], field: str, words: str
) -> None:
    from schedules.management.commands.backfill import Command

    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(["manage.py", "backfill", "chain", *RANGE, *args, "--json"])

    error = json.loads(capsys.readouterr().out)["error"]
    assert ended.value.code == 2
    assert error["field"] == field
    assert words in f"{error['message']} {error['hint']}"
    assert not Occurrence.objects.exists()


def test_an_unknown_pipeline_is_refused_with_the_nearest(backfill: Call, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        call_command("backfill", "chian", *RANGE)

    assert ended.value.code == 2
    assert "chain" in capsys.readouterr().err


def test_the_same_backfill_again_has_nothing_to_run(backfill: Call, capsys: pytest.CaptureFixture[str]) -> None:
    backfill(*RANGE)

    with pytest.raises(SystemExit):
        backfill(*RANGE)

    assert "Nothing of this range is to be run: 3 waiting" in capsys.readouterr().err
    assert Backfill.objects.count() == 1
