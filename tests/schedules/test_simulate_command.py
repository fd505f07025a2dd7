"""`manage.py simulate`: a table for people, JSON for scripts, and what it says to nonsense."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from runs.models import PipelineRun
from runs.states import RunStatus
from schedules.models import Occurrence
from tests.factories import NOON, make_pipeline, make_run, make_schedule, make_worker

pytestmark = pytest.mark.django_db
DAY = ["--from", "2025-03-03T00:00Z", "--until", "2025-03-04T00:00Z"]


def said(*words: str) -> str:
    out = StringIO()
    call_command("simulate", *words, stdout=out)
    return out.getvalue()


def as_json(*words: str) -> Any:
    return json.loads(said(*words, "--json"))


def test_the_json_tells_load_queueing_and_missed_deadlines() -> None:
    pipeline = make_pipeline()
    hourly = make_schedule(pipeline, name="hourly", schedule_interval="0 * * * *", sla=timedelta(minutes=20))
    make_schedule(pipeline, name="nightly", schedule_interval="0 2 * * *")
    make_run(pipeline, status=RunStatus.COMPLETED, trigger_id=hourly.pk, completed_at=NOON + timedelta(minutes=30))

    told = as_json(*DAY, "--workers", "1")

    assert (told["from"], told["until"], told["schedules"], told["workers"]) == (
        "2025-03-03T00:00:00Z",
        "2025-03-04T00:00:00Z",
        2,
        1,
    )
    assert told["durations"] == {
        "quantile": 0.5,
        "from": {"trigger": 1, "pipeline": 1, "default": 0},
        "default_seconds": 60,
    }
    assert told["decisions"] == {"started": 25}
    assert told["queueing"]["workers"] == {"count": 1, "total": 1800, "longest": 1800}
    assert told["missed"]["count"] == 24
    assert told["missed"]["first"][0] == {
        "schedule": hourly.pk,
        "name": "hourly",
        "pipeline": "etl",
        "scheduled_for": "2025-03-03T00:00:00Z",
        "kind": "sla",
        "by": 600,
    }
    assert told["hours"][2] == {
        "begin": "2025-03-03T02:00:00Z",
        "average": 1.0,
        "peak": 1,
        "starts": 2,
        "waiting_for_limits": 0.0,
        "waiting_for_workers": 0.5,
    }
    assert [(each["at"], each["most"]) for each in told["collisions"]] == [("02:00", 2)]


def test_nothing_is_stored() -> None:
    make_schedule()

    said(*DAY)

    assert (PipelineRun.objects.count(), Occurrence.objects.count()) == (0, 0)


def test_people_get_a_line_for_each_hour_and_what_was_assumed() -> None:
    make_schedule(name="nightly", schedule_interval="0 2 * * *")

    lines = said(*DAY, "--timezone", "Europe/Berlin").splitlines()

    assert "durations (quantile 0.5): 1 assumed to take 60 s" in lines
    assert any(line.startswith("Mon 2025-03-03 03:00") and line.split()[3] == "1" for line in lines)
    assert "missed deadlines: 0" in lines


def test_workers_that_are_alive_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: NOON)
    for pid in (1, 2, 3):
        make_worker(pid=pid)
    make_worker(pid=4, stopped_at=NOON)

    assert as_json(*DAY)["workers"] == 3


def test_some_schedules_may_be_chosen_by_number_or_by_name() -> None:
    one = make_schedule(name="one")
    make_schedule(name="two")
    make_schedule(name="three")

    assert as_json(*DAY, "--schedules", str(one.pk), "etl/two")["schedules"] == 2


def test_a_schedule_that_cannot_be_read_is_left_out_and_named() -> None:
    make_schedule(name="good")
    bad = make_schedule(name="bad", timezone="Europe/Berln")

    told = as_json(*DAY)

    assert told["schedules"] == 1
    assert "Unknown time zone" in told["left_out"][str(bad.pk)]


@pytest.mark.parametrize(
    ("words", "field"),
    [
        (["--from", "2025-03-04", "--until", "2025-03-03"], "until"),
        (["--from", "2025-03-04", "--until", "2025-04-14"], "until"),
        (["--from", "yesterday"], "from"),
        (["--workers", "0"], "workers"),
        (["--workers", "many"], "arguments"),
        (["--quantile", "0"], "quantile"),
        (["--quantile", "nan"], "quantile"),
        (["--timezone", "Europe/Berln"], "timezone"),
        (["--schedules", "nobody"], "schedules"),
    ],
)
def test_nonsense_is_refused_with_the_option_that_is_wrong(
    words: list[str], field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from django.core.management import ManagementUtility

    with pytest.raises(SystemExit) as caught:
        ManagementUtility(["manage.py", "simulate", *words, "--json"]).execute()

    assert caught.value.code == 2
    assert json.loads(capsys.readouterr().out)["error"]["field"] == field
