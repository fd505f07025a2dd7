"""What a block receives from the blocks before it: an entry of the job for each, in declared order.

An entry is {"block", "outputs": [meta, …]}, and for a block that is one of many also {"item": {"number", "chunk"}} (its
item of a dynamic block), or {"members": [[meta, …] or None, …]} (what each of many gave, None where one gave nothing).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines import fanouts, variables
from pipelines.failures import BlockError

Entry = Mapping[str, Any]


def entries(job: Mapping[str, Any]) -> list[Entry]:
    """Return the entries of the blocks directly upstream.

    Where a trigger rule lets the block run although an upstream block did not complete, that one's place holds no
    output (the function gets None), so that the others keep theirs.
    """
    given: dict[str, Entry] = {entry["block"]: entry for entry in job["upstream"]}
    block = job["block"]
    if block.get("trigger_rule", "all_success") == "all_success":
        return list(given.values())
    return [given.get(uuid) or {"block": uuid, "outputs": []} for uuid in block["upstream"]]


def gives_nothing(entry: Entry) -> bool:
    return not (entry.get("outputs") or "item" in entry or "members" in entry)


def received(entry: Entry) -> Any:
    """Return what a block's function gets for this entry; raise BlockError when it is gone."""
    try:
        if part := entry.get("item"):
            return fanouts.item(part["number"], part["chunk"])
        if "members" in entry:
            return [_output(metas) for metas in entry["members"]]
        return _output(entry["outputs"])
    except FileNotFoundError as error:
        block = entry["block"]
        raise BlockError(f"the output of block {block} is gone: {error.filename}; run that block again") from error


def _output(metas: Sequence[variables.Meta] | None) -> Any:
    return variables.load_output(metas, unpickle=True) if metas else None


def sizes(job: Mapping[str, Any]) -> dict[str, int]:
    """Return how many rows and bytes the blocks before it gave, as far as their outputs say."""
    metas: list[variables.Meta] = []
    for entry in job["upstream"]:
        if "item" not in entry:
            for outputs in entry.get("members") or [entry["outputs"]]:
                metas += outputs or []
    return {f"{name}_in": sum(meta.get(name) or 0 for meta in metas) for name in ("rows", "bytes")}
