"""Random graphs of up to 200 blocks, run by real workers in real processes, against what the plain model works out.

Each block returns a number made of its name and of what it was given, so that a wrong, missing or misplaced input of
any block shows in the numbers of all after it. Some raise, some are held off by a condition, some fan out.
"""

import random
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.runs.crowd import Crowd, gather
from tests.runs.reference_run import Plan, Reference

pytestmark = pytest.mark.processes
PROCESSES = 3
CODE = {
    "custom/step.py": """
import zlib
@custom
def step(*values, block_uuid, fails=(), **_):
    if block_uuid in fails or block_uuid.partition(':')[0] in fails:
        raise ValueError('as it was asked to')
    return zlib.crc32(repr((block_uuid.partition(':')[0], values)).encode())
""",
    "custom/spread.py": """
import zlib
@custom
def spread(*values, block_uuid, fails=(), **_):
    if block_uuid in fails or block_uuid.partition(':')[0] in fails:
        raise ValueError('as it was asked to')
    number = zlib.crc32(repr((block_uuid.partition(':')[0], values)).encode())
    return [[number + step for step in range(number % 4)]]
""",
    "conditionals/unless_refused.py": """
@condition
def unless_refused(*_, parent_block_uuid, refused=(), **__):
    return parent_block_uuid not in refused and parent_block_uuid.partition(':')[0] not in refused
""",
}
# Those that wait for everything upstream: what the others are given hangs on who is first.
RULES = ("all_success",) * 12 + ("none_failed", "all_done")
Value = Any


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def crowd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    with gather(request.param, tmp_path_factory.mktemp("crowd"), PROCESSES) as made:
        for path, code in CODE.items():
            file = made.folder / "project" / path
            file.parent.mkdir(exist_ok=True)
            file.write_text(code)
        yield made


@pytest.mark.parametrize(  # one kind of trouble: with both, some ends hang on which of them is first
    ("size", "fans_out", "trouble"),
    [(40, False, "refused"), (200, False, "fails"), (40, True, "refused"), (60, True, "fails")],
)
def test_a_random_graph_comes_out_as_the_model_says(crowd: Crowd, size: int, fans_out: bool, trouble: str) -> None:
    dice = random.Random(f"{size} {fans_out} {trouble}")
    plans = random_plans(dice, size, fans_out)
    hit = [plan.uuid for plan in plans if dice.random() < 0.05]
    uuid = f"graph_{size}_{fans_out}_{trouble}"
    write_pipeline(crowd.folder / "project", uuid, plans)
    expected, values = worked_out(plans, **{"fails": set[str](), "refused": set[str](), trouble: set(hit)})

    run_id = crowd.ask(f"start_from_disk('{uuid}', may_fail=True, {trouble}={hit!r})")
    crowd.ask_all(*[f"work_until_finished({run_id})"] * PROCESSES)

    states, numbers, status = crowd.ask(f"what_became_of({run_id})")
    assert states == {uuid: part.status for uuid, part in expected.parts.items()}
    assert status == expected.status
    returned = {uuid: spread(value) if expected.parts[uuid].plan.dynamic else value for uuid, value in values.items()}
    assert numbers == {uuid: value for uuid, value in returned.items() if uuid in numbers}
    completed = {uuid for uuid, part in expected.parts.items() if part.status == "completed" and part.members is None}
    assert numbers.keys() == completed


def random_plans(dice: random.Random, size: int, fans_out: bool) -> list[Plan]:
    """A graph whose blocks have up to three upstream blocks among the ten before them."""
    plans: dict[str, Plan] = {}
    for number in range(size):
        near = list(plans)[-10:]
        upstream = tuple(dice.sample(near, min(len(near), dice.choice([0, 1, 1, 2, 2, 3]))))
        plan = Plan(f"b{number}", upstream, rule=dice.choice(RULES) if upstream else "all_success")
        plans[plan.uuid] = plan
        if fans_out:
            deep = len(Reference(plans).dimensions(plan.uuid))
            # What is run for each item of two others gathers its results before there are too many.
            is_dynamic = deep < 2 and dice.random() < 0.15
            plans[plan.uuid] = replace(
                plan, dynamic=is_dynamic, reduce=deep > 0 and not is_dynamic and dice.random() < 0.5
            )
            if len(Reference(plans).dimensions(plan.uuid)) > 2:
                plans[plan.uuid] = replace(plan, upstream=upstream[:1], dynamic=False, reduce=True)
    return list(plans.values())


def write_pipeline(project: Path, uuid: str, plans: Sequence[Plan]) -> None:
    entries = [
        {
            "uuid": plan.uuid,
            "type": "custom",
            "upstream_blocks": list(plan.upstream),
            "trigger_rule": plan.rule,
            "conditional_blocks": ["unless_refused"],
            "configuration": {"file_source": {"path": f"custom/{'spread' if plan.dynamic else 'step'}.py"}},
            "dynamic": plan.dynamic,
            "reduce_output": plan.reduce,
        }
        for plan in plans
    ]
    conditionals = [{"uuid": "unless_refused", "type": "conditional", "language": "python"}]
    folder = project / "pipelines" / uuid
    folder.mkdir(parents=True)
    content = {"name": uuid, "blocks": entries, "conditionals": conditionals}
    (folder / "metadata.yaml").write_text(yaml.safe_dump(content))


def worked_out(plans: Sequence[Plan], fails: set[str], refused: set[str]) -> tuple[Reference, dict[str, Value]]:
    """Do what is queued in the model until nothing is, and work out what each block returned."""
    model = Reference({plan.uuid: plan for plan in plans}, allow_blocks_to_fail=True)
    values: dict[str, Value] = {}
    while queued := model.of_status("queued"):
        uuid = queued[0]
        part = model.parts[uuid]
        if uuid in refused or part.plan.uuid in refused:
            model.refuse(uuid)
        elif uuid in fails or part.plan.uuid in fails:
            model.fail(uuid)
        else:
            values[uuid] = number_of(part.plan.uuid, given(model, uuid, values))
            model.complete(uuid, values[uuid] % 4 if part.plan.dynamic else 0)
    return model, values


def given(model: Reference, uuid: str, values: dict[str, Value]) -> tuple[Value, ...]:
    """What a block run is given: of each upstream block its value, its item or all that its members returned."""
    part = model.parts[uuid]
    found: list[Value] = []
    for parent in part.upstream:
        source = model.parts[parent]
        if source.members is not None:
            found.append([values.get(member) for member in source.members])
        elif source.plan.dynamic:
            found.append(values[parent] + item_of(model, uuid, source.plan.uuid))
        elif source.status == "completed" or part.plan.rule != "all_success":
            found.append(values.get(parent))
    return tuple(found)


def spread(number: int) -> list[int]:
    """What a dynamic block returns whose number this is."""
    return [number + step for step in range(number % 4)]


def item_of(model: Reference, uuid: str, source: str) -> int:
    name, *places = uuid.split(":")
    return int(places[model.dimensions(name).index(source)])


def number_of(name: str, inputs: tuple[Value, ...]) -> int:
    return zlib.crc32(repr((name, inputs)).encode())
