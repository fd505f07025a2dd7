"""The blocks of one pipeline, from the lists of its metadata.yaml and the code files that these name."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from pipelines.blocks import EXTENSIONS, FOLDERS, check_code, read_block, unfit
from pipelines.fields import Fields
from pipelines.files import FileFault, MissingFile, Sources, inside, shown, stamp_of
from pipelines.graph import Block, nearest

LISTS = {"callback": "callbacks", "conditional": "conditionals"}


class BlockEntries:
    """Reads the blocks; what is wrong is added to `top.faults`, files looked at to `sources`."""

    def __init__(self, top: Fields, sources: Sources, *, pipeline_type: str, metadata: Mapping[str, Any]) -> None:
        self.top = top
        self.sources = sources
        self.pipeline_type = pipeline_type
        self.metadata = metadata  # the project's
        self.by_uuid: dict[str, Fields] = {}

    def line(self, uuid: str, key: str) -> int | None:
        """Return the line of a block's key, or of the block; None for a block that has no entry."""
        entry = self.by_uuid.get(uuid)
        return entry.document.line(*entry.path, key) if entry else None

    def blocks(self, secrets: set[str]) -> list[Block]:
        """Return the blocks of the pipeline and those attached to them, with their code checked.

        `secrets` are asked for by the pipeline as a whole, so by each block that runs.
        """
        run = self.listed("blocks", "")
        attached = {kind: self.listed(key, kind) for kind, key in LISTS.items()}
        for kind in LISTS:
            attached[kind] += self.named_only(kind, run, attached[kind])
        known = {block.uuid for block in run}
        others = [block for blocks in attached.values() for block in blocks if block.uuid not in known]
        elsewhere = {block.uuid for block in others} | uuids_in(self.top.data.get("widgets"))
        elsewhere |= uuids_in(self.top.data.get("extensions"))
        files = {block.uuid: block.file for block in run}
        run = [
            replace(
                block,
                upstream=tuple(uuid for uuid in block.upstream if uuid in known or uuid not in elsewhere),
                callbacks=attachments(block, block.callbacks, attached["callback"]),
                conditions=attachments(block, block.conditions, attached["conditional"]),
                file=self.original_file(block, files),
            )
            for block in run
        ]
        used = {uuid for block in run for uuid in (*block.callbacks, *block.conditions)}
        return [self.with_code(block, used, secrets) for block in (*run, *others)]

    def listed(self, key: str, kind: str) -> list[Block]:
        found = []
        for entry in self.top.entries(key):
            block = read_block(entry, kind=kind, pipeline_type=self.pipeline_type, metadata=self.metadata)
            if block is not None:
                self.by_uuid.setdefault(block.uuid, entry)
                found.append(replace(block, file=self.found(block.file) if block.file else None))
        return found

    def named_only(self, kind: str, run: list[Block], listed: list[Block]) -> list[Block]:
        """Return the callbacks or conditions that blocks name and no list has, where their file is in its place."""
        known = {block.uuid for block in listed}
        made: dict[str, Block] = {}
        for block in run:
            for uuid in block.callbacks if kind == "callback" else block.conditions:
                file = f"{FOLDERS[kind]}/{uuid}.py"
                if uuid in known or uuid in made:
                    continue
                if unfit(uuid) or stamp_of(self.sources.root / file) is None:
                    hint = nearest(uuid, known) or f"Add it to {LISTS[kind]}, and its code as {shown(file)}."
                    key = f"{kind}_blocks"
                    self.by_uuid[block.uuid].fault(f"{key}: there is no {kind} {shown(uuid)!r}.", key, hint)
                    continue
                made[uuid] = Block(uuid=uuid, name=uuid, type=kind, file=file)
        return list(made.values())

    def original_file(self, block: Block, files: Mapping[str, str | None]) -> str | None:
        """Return the block's file; a replica has that of the block it repeats, here or in another pipeline."""
        original = block.replicated_block
        if not original or unfit(original):
            return block.file
        return files.get(original) or f"{FOLDERS[block.type]}/{original}.{EXTENSIONS[block.language]}"

    def found(self, path: str) -> str:
        """Return the path as this project has it: Mage may write it from the folder that the project lies in."""
        root = self.sources.root
        given = PurePosixPath(path)
        if given.is_relative_to(root):
            given = given.relative_to(root)
        shorter = PurePosixPath(*given.parts[1:])
        is_longer = stamp_of(root / given) is None and shorter.parts and stamp_of(root / shorter) is not None
        return str(shorter if is_longer and not given.is_absolute() else given)

    def with_code(self, block: Block, used: set[str], secrets: set[str]) -> Block:
        """Check the block's code; one that is not run here needs none."""
        if block.file is None or not (block.executable or block.uuid in used):
            return replace(block, file=None)
        try:
            if block.unsupported:
                return replace(block, file=self.optional(block.file))
            asked = check_code(block, self.sources.read(block.file))
        except FileFault as fault:
            self.note(self.without_code(block) if isinstance(fault, MissingFile) else fault)
            return block
        return replace(block, secrets=tuple(sorted({*block.secrets, *asked, *secrets})))

    def optional(self, path: str) -> str | None:
        if not inside(self.sources.root, path).is_file():
            return None
        return self.sources.read(path).path

    def note(self, fault: FileFault) -> None:
        """Add the fault unless it is there: blocks may share a file."""
        if fault.as_problem() not in [each.as_problem() for each in self.top.faults]:
            self.top.faults.append(fault)

    def without_code(self, block: Block) -> FileFault:
        file = block.file or ""
        folder = PurePosixPath(file).parent
        try:
            beside = [f"{folder}/{name}" for name in os.listdir(self.sources.root / folder)]
        except OSError:
            beside = []
        return FileFault(
            f"Block {block.uuid!r} has no code: {shown(file)} does not exist.",
            file=self.top.document.file,
            line=self.line(block.uuid, "uuid"),
            hint=nearest(file, beside) or "Add the file, or name it in configuration.file_source.path.",
        )


def attachments(block: Block, named: tuple[str, ...], listed: list[Block]) -> tuple[str, ...]:
    """Return the callbacks (or conditions) of a block: those it names, then those that have it upstream."""
    return tuple(dict.fromkeys((*named, *(each.uuid for each in listed if block.uuid in each.upstream))))


def uuids_in(value: Any) -> set[str]:
    """Return the names of the entries of `widgets` (a list) or `extensions` (by extension, each with blocks)."""
    if isinstance(value, list):
        return {str(each["uuid"]) for each in value if isinstance(each, dict) and each.get("uuid")}
    if isinstance(value, dict):
        return {uuid for each in value.values() if isinstance(each, dict) for uuid in uuids_in(each.get("blocks"))}
    return set()
