"""What a member gets from above, and what a block gets from many."""

from datetime import datetime

import pytest

from executors.base import Outcome, Verdict
from runs import lifecycle
from runs.models import PipelineRun
from runs.working import jobs
from tests.runs.fans import a_block, a_dynamic, fan, outcomes, start
from tests.runs.outcomes import FAILED, claim, drive, make_owner

pytestmark = pytest.mark.django_db


def gives(text: str) -> Outcome:
    meta = {"name": "output_0", "url": text, "preview": {"text": "long " * 100}}
    return Outcome(verdict=Verdict.COMPLETED, result={"outputs": [meta]})


def upstream(run: PipelineRun, uuid: str) -> list[dict[str, object]]:
    return jobs.upstream_outputs(run.block_runs.get(block_uuid=uuid), run, {})


def test_a_member_gets_its_item_and_the_file_that_holds_it(now: datetime) -> None:
    run = start(now, a_block("plain"), a_dynamic("D"), a_block("child", "plain", "D"))

    drive(run, now, outcomes({"D": fan(3), "plain": gives("plain")}))

    first, second = upstream(run, "child:2")
    assert (first["block"], second["block"]) == ("plain", "D")
    assert second["item"] == {"number": 2, "chunk": {"url": "items_0", "type": "json", "start": 0, "count": 3}}


def test_a_member_gets_what_its_own_upstream_member_gave_under_the_name_of_the_block(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_block("child", "D"), a_block("after", "child"))

    drive(run, now, lambda uuid: fan(3) if uuid == "D" else gives(uuid))

    (entry,) = upstream(run, "after:1")
    assert entry["block"] == "child"
    assert [meta["url"] for meta in entry["outputs"]] == ["child:1"]  # type: ignore[attr-defined]


def test_a_block_after_a_reduced_one_gets_every_members_outputs_in_order_without_previews(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_block("child", "D", reduce_output=True), a_block("total", "child"))

    drive(run, now, lambda uuid: fan(12) if uuid == "D" else gives(uuid))

    (entry,) = upstream(run, "total")
    assert entry["members"] == [[{"name": "output_0", "url": f"child:{number}"}] for number in range(12)]


def test_the_place_of_a_member_that_failed_is_kept(now: datetime) -> None:
    mop = a_block("mop", "child", trigger_rule="all_done")
    run = start(now, a_dynamic("D"), a_block("child", "D", reduce_output=True), mop)

    drive(run, now, lambda uuid: {"D": fan(3), "child:1": FAILED}.get(uuid) or gives(uuid))

    (entry,) = upstream(run, "mop")
    assert [bool(each) for each in entry["members"]] == [True, False, True]  # type: ignore[attr-defined]


def test_outputs_of_members_lie_in_places_of_their_own(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_block("a", "D"), a_block("a_0"))
    worker = make_owner(now)
    lifecycle.finish_block(claim(run, "D", worker, now), fan(1), moment=now)

    rows = run.block_runs.filter(block_uuid__in=("a:0", "a_0"))

    assert len({jobs.output_url(row, run) for row in rows}) == 2


def test_what_a_members_code_is_told_about_itself(now: datetime) -> None:
    run = start(now, a_dynamic("D"), a_block("child", "D"))
    lifecycle.finish_block(claim(run, "D", make_owner(now), now), fan(1, ["north"]), moment=now)

    work = jobs.work_for(run.block_runs.get(block_uuid="child:north"), jobs.runs().get(pk=run.pk))

    assert work.job["block"]["uuid"] == "child:north"


def test_no_two_blocks_write_their_outputs_to_one_folder() -> None:
    names = ["a/b", "a__b", "a~_b", "a:b", "a~-b", "a~b", "a~~b", "a_b"]
    assert len({jobs.output_name(name) for name in names}) == len(names)
