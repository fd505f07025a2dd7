"""Changes of one triggers.yaml by several people at once: none is lost, none is mixed."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test import override_settings

from pipelines.refusal import Refusal
from schedules import triggers
from schedules.files import triggers_yaml
from schedules.models import PipelineSchedule
from tests.factories import NOON
from tests.schedules.coded import Coded

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # On SQLite a change holds the one write lock from its first look at the file on.
    pytest.mark.skipif(connection.vendor != "postgresql", reason="needs a database with several writers"),
]
NAMES = [f"trigger {number}" for number in range(6)]


@pytest.fixture
def coded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Coded]:
    monkeypatch.setenv("WHAT", "Loads the day.")
    triggers_yaml.forget()
    with override_settings(PROJECT_DIR=tmp_path, ENV="dev"):
        coded = Coded(tmp_path)
        coded.take_over(
            "triggers:\n" + "".join(f"# {name}\n- name: {name}\n  schedule_interval: '@daily'\n" for name in NAMES)
        )
        yield coded
    triggers_yaml.forget()


def at_once(*calls: Callable[[], object]) -> list[Exception]:
    """Call them in threads that start together; return what they raised."""
    gate, raised = threading.Barrier(len(calls)), list[Exception]()

    def run(call: Callable[[], object]) -> None:
        gate.wait()
        try:
            call()
        except Exception as error:
            raised.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def edit(coded: Coded, name: str, seconds: int) -> Callable[[], object]:
    return lambda: coded.change(name, sla=timedelta(seconds=seconds))


def test_edits_of_several_triggers_are_all_in_the_file(coded: Coded) -> None:
    syncs = [lambda: triggers_yaml.sync(coded.project.root, NOON)] * 2

    raised = at_once(*[edit(coded, name, 60 + number) for number, name in enumerate(NAMES)], *syncs)

    assert raised == []
    assert [row.sla for row in PipelineSchedule.objects.filter(name__in=NAMES).order_by("name")] == [
        timedelta(seconds=60 + number) for number in range(len(NAMES))
    ]
    assert coded.text().count("  sla: ") == coded.text().count("# trigger") == len(NAMES)
    assert coded.is_in_step()


def test_of_two_edits_of_one_trigger_the_file_and_the_row_keep_the_same(coded: Coded) -> None:
    raised = at_once(*[edit(coded, NAMES[0], 60 + number) for number in range(4)])

    assert all(isinstance(error, Refusal) for error in raised)
    sla = coded.row(NAMES[0]).sla
    assert sla is not None
    assert f"  sla: {round(sla.total_seconds())}\n" in coded.text()
    assert coded.is_in_step()


def test_deleting_and_saving_in_code_do_not_lose_each_other(coded: Coded) -> None:
    fields = {"name": "by hand", "schedule_interval": "@daily"}
    by_hand, _ = triggers.create("etl", fields, is_active=False, source="ui", moment=NOON)

    raised = at_once(
        lambda: triggers.delete(coded.row(NAMES[0])),
        lambda: triggers.save_in_code(by_hand),
        edit(coded, NAMES[1], 60),
    )

    assert raised == []
    assert f"- name: {NAMES[0]}\n" not in coded.text()
    assert "- name: by hand\n" in coded.text()
    assert coded.is_in_step()
