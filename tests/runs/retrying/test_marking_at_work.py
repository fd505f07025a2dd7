"""A block run that is marked by hand while its process is at work."""

from datetime import timedelta

import pytest
from django.utils import timezone

from runs.retrying import marking
from runs.states import RunStatus
from tests.runs.outcomes import statuses
from tests.runs.place import Place, at_second_look

pytestmark = [pytest.mark.django_db, pytest.mark.processes]


def test_the_process_is_ended_and_what_comes_after_gets_none(place: Place) -> None:
    place.write(
        "long",
        "blocks: [{uuid: sleeps, type: custom}, {uuid: later, type: custom, upstream_blocks: [sleeps]}]",
        later="@custom\ndef later(value):\n    assert value is None\n    return 'went on'",
    )
    run = place.start("long")

    def mark() -> None:
        row = run.block_runs.get(block_uuid="sleeps")
        marking.mark(row, "completed", moment=timezone.now(), by="ada", reason="slept enough")

    place.at_each_look = at_second_look(mark)
    began = timezone.now()
    place.worker.work_on_anything()
    run.refresh_from_db()

    assert timezone.now() - began < timedelta(seconds=20), "it would have slept for a minute"
    assert statuses(run) == {"sleeps": "completed", "later": "completed"}
    assert run.status == RunStatus.COMPLETED
    assert run.block_runs.get(block_uuid="sleeps").attempts.get().ended_as == "cancelled"
