"""The blocks of one pipeline, from the lists of its metadata.yaml and the code files that these name."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from pipelines.blocks import EXTENSIONS, FOLDERS, check_code, read_block, source_path, unfit
from pipelines.callback_files import named_by_pipeline, outcomes_of, refuse_what_is_never_called
from pipelines.fields import Fields
from pipelines.files import FileFault, MissingFile, Sources, inside, shown, stamp_of
from pipelines.graph import Block, nearest
from pipelines.stream_blocks import without_connector

LISTS = {"callback": "callbacks", "conditional": "conditionals"}


class BlockEntries:
    """Reads the blocks; what is wrong is added to `top.faults`, files looked at to `sources`."""

    def __init__(self, top: Fields, sources: Sources, *, pipeline_type: str, metadata: Mapping[str, Any]) -> None:
        self.top = top
        self.sources = sources
        self.pipeline_type = pipeline_type
        self.metadata = metadata  # the project's
        self.by_uuid: dict[str, Fields] = {}
        self.after = named_by_pipeline(top)  # the pipeline's own callbacks, by outcome

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
        originals = {block.uuid: block for block in reversed(run)}
        run = [
            replace(
                block,
                upstream=tuple(uuid for uuid in block.upstream if uuid in known or uuid not in elsewhere),
                callbacks=attachments(block, block.callbacks, attached["callback"]),
                conditions=attachments(block, block.conditions, attached["conditional"]),
                file=self.original_file(block, originals),
            )
            for block in run
        ]
        used = {uuid for block in run for uuid in (*block.callbacks, *block.conditions)}
        used |= {uuid for uuids in self.after.values() for uuid in uuids}
        blocks = [self.with_code(block, used, secrets) for block in (*run, *others)]
        refuse_what_is_never_called(self.top, self.after, blocks)
        return blocks

    def listed(self, key: str, kind: str) -> list[Block]:
        found = []
        for entry in self.top.entries(key):
            block = read_block(entry, kind=kind, pipeline_type=self.pipeline_type, metadata=self.metadata)
            if block is not None:
                self.by_uuid.setdefault(block.uuid, entry)
                found.append(replace(block, file=self.found(block.file) if block.file else None))
        return found

    def named_only(self, kind: str, run: list[Block], listed: list[Block]) -> list[Block]:
        """Return the callbacks or conditions that are named and no list has, where their file is in its place."""
        known = {block.uuid for block in listed}
        made: dict[str, Block] = {}
        for entry, key, uuid in self.named(kind, run):
            file = f"{FOLDERS[kind]}/{uuid}.py"
            if uuid in known or uuid in made:
                continue
            if unfit(uuid) or stamp_of(self.sources.root / file) is None:
                hint = nearest(uuid, known) or f"Add it to {LISTS[kind]}, and its code as {shown(file)}."
                entry.fault(f"{key}: there is no {kind} {shown(uuid)!r}.", key, hint)
                continue
            made[uuid] = Block(uuid=uuid, name=uuid, type=kind, file=file)
        return list(made.values())

    def named(self, kind: str, run: list[Block]) -> Iterator[tuple[Fields, str, str]]:
        """Yield where, under which key and which callback (or condition) is named: at blocks, at the pipeline."""
        for block in run:
            for uuid in block.callbacks if kind == "callback" else block.conditions:
                yield self.by_uuid[block.uuid], f"{kind}_blocks", uuid
        if kind == "callback":
            taken = {block.uuid for block in run}
            for outcome, uuids in self.after.items():
                yield from ((self.top, f"on_{outcome}", uuid) for uuid in uuids if uuid not in taken)

    def original_file(self, block: Block, blocks: Mapping[str, Block]) -> str | None:
        """Return the block's file; a replica has that of the block it repeats, here or in another pipeline.

        Where there is no such block, nor its file, that is a fault.
        """
        if not block.replicated_block:
            return block.file
        entry, seen = self.by_uuid[block.uuid], {block.uuid}
        original = block.replicated_block
        while (found := blocks.get(original)) and found.replicated_block and original not in seen:
            seen.add(original)
            original = found.replicated_block
        if found and original not in seen:
            return found.file
        file = f"{FOLDERS[block.type]}/{original}.{EXTENSIONS[block.language]}"
        if source_path(entry.inner("configuration")):
            return block.file
        if not unfit(original) and original not in seen and stamp_of(self.sources.root / file):
            return file
        if original in seen:
            entry.fault("replicated_block: it leads back to itself.", "replicated_block", "Name a block that has code.")
            return None
        hint = nearest(original, sorted({*blocks, *self.beside(file)} - seen)) or f"Its code would be {shown(file)}."
        entry.fault(f"replicated_block: there is no block {shown(original)!r}.", "replicated_block", hint)
        return None

    def beside(self, file: str) -> list[str]:
        """Return the blocks that have their code in the folder of a file."""
        folder, suffix = PurePosixPath(file).parent, PurePosixPath(file).suffix
        inner = PurePosixPath(*folder.parts[1:])
        try:
            names = os.listdir(self.sources.root / folder)
        except (OSError, ValueError):
            return []
        return [str(inner / name.removesuffix(suffix)) for name in names if name.endswith(suffix)]

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
                return self.naming_connector(replace(block, file=self.optional(block.file)))
            source = self.sources.read(block.file)
            asked = check_code(block, source, pipeline_type=self.pipeline_type)
            outcomes = outcomes_of(source) if block.type == "callback" else ()
        except FileFault as fault:
            self.note(self.without_code(block) if isinstance(fault, MissingFile) else fault)
            return block
        return replace(block, secrets=tuple(sorted({*block.secrets, *asked, *secrets})), outcomes=outcomes)

    def naming_connector(self, block: Block) -> Block:
        """Name, in the reason why a block of a stream cannot run, the connector that its YAML configures."""
        if self.pipeline_type != "streaming" or block.language != "yaml" or block.file is None:
            return block
        return replace(block, unsupported=without_connector(block.type, self.sources.read(block.file).text))

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
