"""What differs between two versions of a pipeline, block by block. Values in, values out: no disk, no database."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

LONGEST_COMPARED = 200_000  # characters of a file; a longer one has only "changed" said of it
MOST_LINES = 2_000  # of one diff
UNTOLD = ("uuid", "upstream", "downstream", "executable", "file", "file_source")  # told otherwise, or follows from it
# These say how and when a block runs, not what it does: what it returned stands.
BESIDE = frozenset(
    {
        "name",
        "priority",
        "pool",
        "pool_slots",
        "sla",
        "timeout",
        "callbacks",
        "secrets",
        "executor_type",
        "executor_config",
        "retry_config",
        "resources",
        "poke_interval",
        "poke_timeout",
        "soft_fail",
    }
)
NESTED = ("configuration", "executor_config", "retry_config", "resources")  # told key by key


class Setting(NamedTuple):
    """A setting by its key ("configuration.limit"); None where a side has none."""

    key: str
    old: Any
    new: Any


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How one block differs. `code` is a unified diff, "" if the code is the same."""

    block: str
    kind: Literal["added", "removed", "changed"]
    type: str
    code: str = ""
    settings: Sequence[Setting] = ()
    upstream: tuple[Sequence[str], Sequence[str]] | None = None  # before and after, if they differ
    conditions: Sequence[str] = ()  # of its condition blocks, those that changed
    executable: bool = True

    @property
    def does_otherwise(self) -> bool:
        """Whether the block may return something else than before: then what is kept of it does not stand."""
        other = any(setting.key.partition(".")[0] not in BESIDE for setting in self.settings)
        return self.kind == "added" or bool(self.code or other or self.upstream or self.conditions)


@dataclass(frozen=True)
class Definition:
    """A version as `PipelineVersion` keeps it."""

    graph: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def entries(self) -> dict[str, Mapping[str, Any]]:
        """The blocks that a run has anything to do with, by uuid."""
        beside = ("callback", "conditional")
        return {
            entry["uuid"]: entry for entry in self.graph["blocks"] if entry["executable"] or entry["type"] in beside
        }

    def file_of(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.files.get(entry.get("file") or "", {})


def differences(old: Definition, new: Definition) -> list[Difference]:
    """Return how each block differs that does, in the order of the new version, what is gone last."""
    before, after = old.entries(), new.entries()
    found = [
        difference_of(uuid, before[uuid], old, entry, new) if uuid in before else alone("added", entry)
        for uuid, entry in after.items()
    ]
    there = {each.block: each for each in found if each is not None}
    for uuid, entry in after.items():  # a block whose condition decides otherwise is another one
        changed = [name for name in entry.get("conditions", ()) if name in there and there[name].does_otherwise]
        if changed and uuid in before:
            told = there.get(uuid) or Difference(block=uuid, kind="changed", type=entry["type"])
            there[uuid] = replace(told, conditions=changed)
    gone = [alone("removed", entry) for uuid, entry in before.items() if uuid not in after]
    return [*(there[uuid] for uuid in after if uuid in there), *gone]


def alone(kind: Literal["added", "removed"], entry: Mapping[str, Any]) -> Difference:
    return Difference(block=entry["uuid"], kind=kind, type=entry["type"], executable=entry["executable"])


def difference_of(
    uuid: str, before: Mapping[str, Any], old: Definition, after: Mapping[str, Any], new: Definition
) -> Difference | None:
    code = code_difference(old.file_of(before), new.file_of(after), after.get("file") or uuid)
    settings = settings_differences(before, after)
    upstream = (before["upstream"], after["upstream"]) if list(before["upstream"]) != list(after["upstream"]) else None
    if not (code or settings or upstream):
        return None
    return Difference(
        block=uuid,
        kind="changed",
        type=after["type"],
        code=code,
        settings=settings,
        upstream=upstream,
        executable=after["executable"],
    )


def code_difference(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> str:
    """Return the unified diff of a file's two texts; a sentence where they cannot be compared; "" if they are equal."""
    if old.get("sha256") == new.get("sha256"):
        return ""
    texts = (old.get("text"), new.get("text"))
    if any(text is None or len(text) > LONGEST_COMPARED for text in texts):
        return f"{name} has changed (it is not kept, or too long to compare)."
    was, now = (str(text).splitlines() for text in texts)
    lines = list(difflib.unified_diff(was, now, f"{name} (then)", f"{name} (now)", lineterm=""))
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"… and {len(lines) - MOST_LINES:,} more lines"]
    return "\n".join(lines) or f"{name} has changed in how its lines end."


def settings_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Setting]:
    """Return the settings that differ, by key; those of a nested one each for itself."""
    before, after = dict(flat(old)), dict(flat(new))
    keys = dict.fromkeys([*before, *after])
    return [Setting(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]


def flat(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in entry.items():
        if key in UNTOLD:
            continue
        if key in NESTED and isinstance(value, Mapping):
            yield from ((f"{key}.{name}", each) for name, each in value.items() if name not in UNTOLD)
        else:
            yield key, value


def pipeline_differences(old: Definition, new: Definition) -> list[Setting]:
    """Return what differs in the settings of the pipelines themselves, variables too; nested ones key by key."""
    before, after = dict(one_by_one(old.settings)), dict(one_by_one(new.settings))
    keys = sorted(before.keys() | after.keys())
    return [Setting(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]


def one_by_one(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{name}", each) for name, each in value.items())
        else:
            yield key, value


def file_differences(old: Definition, new: Definition) -> list[tuple[str, str]]:
    """Return path and diff of each file that differs and is no block's code in either version."""
    of_blocks = {entry.get("file") for each in (old, new) for entry in each.graph["blocks"]}
    paths = sorted({*old.files, *new.files} - of_blocks)
    found = [(path, code_difference(old.files.get(path, {}), new.files.get(path, {}), path)) for path in paths]
    return [(path, diff) for path, diff in found if diff]
