"""Callback blocks as their files and a pipeline's metadata.yaml describe them. Code is parsed, never executed."""

import ast
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipelines.decorators import OUTCOMES
from pipelines.fields import Fields
from pipelines.files import FileFault, TextFile, shown
from pipelines.graph import Block, Graph, nearest
from pipelines.marks import functions, mark_of, parse_code, renamed

KEYS = tuple(f"on_{outcome}" for outcome in OUTCOMES)


def outcomes_of(source: TextFile) -> tuple[str, ...]:
    """Return the outcomes that the file has functions for; raise FileFault for one that there is not."""
    tree = parse_code(source)
    names = renamed(tree)
    found: set[str] = set()
    for function in functions(tree.body):
        for decorator in function.decorator_list:
            mark = mark_of(decorator, names)
            if mark in KEYS:
                found.add(mark.removeprefix("on_"))
            elif mark == "callback":
                found.update(named_by(decorator, source))
    return tuple(outcome for outcome in OUTCOMES if outcome in found)


def named_by(decorator: ast.expr, source: TextFile) -> Sequence[str]:
    """Return the outcome in `@callback('failure')`: success where it names none, any where it is worked out."""
    given = decorator.args[0] if isinstance(decorator, ast.Call) and decorator.args else None
    if given is None:
        return ["success"]
    if not isinstance(given, ast.Constant):
        return OUTCOMES
    if given.value not in OUTCOMES:
        hint = nearest(str(given.value), OUTCOMES) or f"Use one of: {', '.join(OUTCOMES)}."
        message = f"@callback: there is no outcome {shown(repr(given.value))}"
        raise FileFault(message, file=source.path, line=given.lineno, hint=hint)
    return [given.value]


def named_by_pipeline(top: Fields) -> Mapping[str, list[str]]:
    """Return the callbacks of the pipeline itself by outcome: `on_success`, `on_failure`, `on_cancelled`."""
    return {key.removeprefix("on_"): list(dict.fromkeys(top.names(key))) for key in KEYS}


def entries(named: Mapping[str, Iterable[str]], graph: Graph) -> dict[str, list[dict[str, Any]]]:
    """Return the graph's entries of those callbacks, by outcome, without the outcomes that have none."""
    known = {entry["uuid"]: entry for entry in graph.as_dict()["blocks"]}
    return {outcome: [known[uuid] for uuid in uuids] for outcome, uuids in named.items() if uuids}


def refuse_what_is_never_called(top: Fields, named: Mapping[str, Iterable[str]], blocks: Iterable[Block]) -> None:
    """Note a callback of the pipeline that has no function for what it is named for."""
    by_uuid = {block.uuid: block for block in blocks}
    for outcome, uuids in named.items():
        for uuid in uuids:
            block, key = by_uuid.get(uuid), f"on_{outcome}"
            if block is None:  # told already
                continue
            if block.type != "callback":
                top.fault(f"{key}: block {shown(uuid)!r} is no callback.", key, "Name one that lies in callbacks/.")
            elif block.outcomes and outcome not in block.outcomes:
                hint = f"Mark one in {block.file} with @{key}."
                top.fault(f"{key}: {shown(uuid)!r} has no function marked @{key}.", key, hint)
