"""A project on disk, in Mage's layout, read into frozen values. The only door to it; no Django, no database.

A pipeline that cannot be read says why, with file and line, and harms no other.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipelines import callback_files, yaml_files
from pipelines.block_entries import BlockEntries
from pipelines.blocks import executor_config, retry_config, unfit
from pipelines.fields import Fields
from pipelines.files import FileFault, Sources, Stamp, TextFile, read_text, shown, stamp_of
from pipelines.graph import Block, Fault, Graph, InvalidGraph, build
from pipelines.notifications import asked_for
from pipelines.pool_fields import PoolSlots, pools_of
from pipelines.refusal import Refusal
from pipelines.retention_rules import merged as retention_rules
from pipelines.templating import secret_names
from pipelines.yaml_files import Document

PROJECT_FILE = "metadata.yaml"
PIPELINE_TYPES = ("python", "integration", "streaming", "pyspark", "databricks", "execution_framework")
# Worth loading once, before blocks are forked; the parts of pyarrow take 60 ms of each block that stores a table.
HEAVY_LIBRARIES = ("pandas", "polars", "pyarrow", "pyarrow.parquet", "pyarrow.dataset", "numpy")
MODULE_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
CONCURRENCY_LIMITS = ("block_run_limit", "pipeline_run_limit", "pipeline_run_limit_all_triggers")
AUTHORITATIVE = "files_are_authoritative"  # under `triggers` of the project's metadata.yaml
Seen = Mapping[str, Stamp | None]  # files by path in the project, as they were when read; None: not there


@dataclass(frozen=True, kw_only=True)
class Project:
    """What the project's own metadata.yaml says. `problems` make every pipeline of it invalid."""

    root: Path
    document: Document = field(repr=False)
    variables: Mapping[str, Any]
    preload: tuple[str, ...]
    pipelines: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    pools: Mapping[str, PoolSlots] = field(default_factory=dict)
    problems: tuple[FileFault, ...] = ()
    seen: Seen = field(default_factory=dict, repr=False)

    @property
    def metadata(self) -> Mapping[str, Any]:
        return self.document.data  # type: ignore[no-any-return]


@dataclass(frozen=True, kw_only=True)
class TriggerRules:
    """Who may write a pipeline's triggers down, and where."""

    files_are_authoritative: bool = False  # people change triggers.yaml and nothing else
    save_in_code_automatically: bool = False  # what is made on the pages and in the API is written there too


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A valid pipeline. `settings` and `files` are JSON, as PipelineVersion keeps them; no secret is in them."""

    uuid: str
    name: str
    description: str
    type: str
    tags: tuple[str, ...]
    owner: str = ""
    graph: Graph
    settings: Mapping[str, Any]
    files: Mapping[str, Mapping[str, str]]
    content_hash: str
    seen: Seen = field(repr=False)


class BrokenPipeline(Refusal):
    """A pipeline cannot be run; `problems` is the list of {"file", "line", "reason", "hint"}."""

    def __init__(self, uuid: str, faults: list[FileFault], seen: Seen) -> None:
        first = faults[0]
        where = first.file if first.line is None else f"{first.file} line {first.line}"
        message = f"Pipeline {uuid} is invalid: {where}: {first.message}"
        super().__init__(message, field="pipeline", hint=first.hint, code="invalid_pipeline")
        self.problems = [fault.as_problem() for fault in faults]
        self.seen = seen


def read_project(root: Path, *, env: Mapping[str, str] = os.environ) -> Project:
    """Read a project's metadata.yaml and list its pipelines; refuse a folder that is no project."""
    root = root.absolute()
    uuids = pipeline_uuids(root)
    sources = Sources(root)
    faults: list[FileFault] = []
    top = Fields(Document(PROJECT_FILE, {}, {}, {}), (), faults)
    try:
        if stamp_of(root / PROJECT_FILE):
            top = Fields(read_mapping(sources, PROJECT_FILE, env), (), faults)
    except FileFault as fault:
        faults.append(fault)
    files_are_authoritative(top)
    pools = pools_of(top)
    return Project(
        root=root,
        document=top.document,
        variables=top.mapping("variables"),
        preload=tuple(preload(top, root)),
        pipelines=uuids,
        env=env,
        pools=pools,
        problems=tuple(faults),
        seen={PROJECT_FILE: None, **sources.seen},
    )


def trigger_rules(root: Path, uuid: str = "", *, env: Mapping[str, str] = os.environ) -> TriggerRules:
    """Read what the project's and a pipeline's metadata.yaml say about triggers; raise FileFault for a mistake."""
    sources, faults = Sources(root), list[FileFault]()
    project, pipeline = (
        Fields(read_mapping(sources, path, env) if stamp_of(root / path) else Document(path, {}, {}, {}), (), faults)
        for path in (PROJECT_FILE, metadata_path(uuid))
    )
    rules = TriggerRules(
        files_are_authoritative=files_are_authoritative(project),
        save_in_code_automatically=saves_in_code(pipeline, default=saves_in_code(project.inner("pipelines"))),
    )
    if faults:
        raise faults[0]
    return rules


def notification_config(root: Path, uuid: str, *, env: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Read whom the files say to tell of a pipeline's runs, as of now; raise FileFault for a file that is unreadable.

    It holds addresses and passwords: it is for sending, and is stored nowhere.
    """
    sources, name, faults = Sources(root), "notification_config", list[FileFault]()
    top = Fields(read_mapping(sources, metadata_path(uuid), env), (), faults)
    above = read_mapping(sources, PROJECT_FILE, env).data if stamp_of(root / PROJECT_FILE) else {}
    project = Fields(Document(PROJECT_FILE, {**above, **top.mapping("overrides")}, {}, {}), (), faults)
    return {**project.mapping(name), **top.mapping(name)}


def files_are_authoritative(project: Fields) -> bool:
    triggers = project.inner("triggers")
    for key in triggers.data:
        if key != AUTHORITATIVE:
            triggers.fault(f"unknown key {shown(key)!r}.", key, hint=f"Use: {AUTHORITATIVE}.")
    return triggers.flag(AUTHORITATIVE)


def saves_in_code(entry: Fields, *, default: bool = False) -> bool:
    """Mage's setting, of a pipeline or, under `pipelines`, of the project."""
    return entry.inner("settings").inner("triggers").flag("save_in_code_automatically", default=default)


def pipeline_uuids(root: Path) -> tuple[str, ...]:
    """Return the names of the folders in pipelines/ that have a metadata.yaml, sorted; refuse what is no project."""
    try:
        with os.scandir(root / "pipelines") as entries:
            names = [entry.name for entry in entries if not entry.name.startswith((".", "__"))]
    except (FileNotFoundError, NotADirectoryError):
        if (root / PROJECT_FILE).is_file():
            return ()
        kind = "has no metadata.yaml and no pipelines folder" if root.is_dir() else "is not a folder"
        hint = "Name the folder of a project; manage.py create_project PATH makes one."
        raise Refusal(f"{root} {kind}.", field="project", hint=hint, code="unknown_project") from None
    except OSError as error:
        raise Refusal(f"{root}/pipelines cannot be read ({error.strerror}).", field="project") from None
    return tuple(name for name in sorted(names) if is_storable(name) and has_metadata(root, name))


def is_storable(name: str) -> bool:
    return len(name) <= 200 and name.isprintable()  # a name that is not UTF-8 is not printable either


def has_metadata(root: Path, uuid: str) -> bool:
    return os.path.lexists(f"{root}/{metadata_path(uuid)}")  # a broken symlink too: it is told as a problem


def metadata_path(uuid: str) -> str:
    return f"pipelines/{uuid}/metadata.yaml"


def preload(top: Fields, root: Path) -> list[str]:
    """Return the modules to load before blocks are forked: those listed, else the heavy ones that are required."""
    if "preload" in top.data:
        names = top.names("preload")
        for name in names:
            if not MODULE_NAME.fullmatch(name):
                top.fault(f"preload: {shown(name)!r} is not the name of a module.", "preload", "For example: [pandas].")
        return [name for name in names if MODULE_NAME.fullmatch(name)]
    try:
        lines = read_text(root, "requirements.txt").text.split("\n")
    except FileFault:
        return []
    required = {match[0].lower() for line in lines if (match := REQUIREMENT.match(line.strip()))}
    return [name for name in HEAVY_LIBRARIES if name.partition(".")[0] in required]


def read_mapping(sources: Sources, path: str, env: Mapping[str, str]) -> Document:
    """Read a yaml file that holds keys and values, or nothing; raise FileFault otherwise."""
    return mapping_in(sources.read(path), env)


def mapping_in(source: TextFile, env: Mapping[str, str]) -> Document:
    """Return the keys and values in the text of a yaml file; raise FileFault if it holds anything else."""
    document = yaml_files.parse(source, env=env)
    if document.data is None:
        return Document(source.path, {}, {}, {})
    if not isinstance(document.data, dict):
        raise document.fault("The file must have keys and values.", hint="For example: name: My pipeline.")
    return document


def read_pipeline(project: Project, uuid: str) -> Definition:
    """Read, check and hash a pipeline and the code of its blocks; raise BrokenPipeline with every problem found."""
    sources = Sources(project.root)
    path = metadata_path(uuid)
    faults = list(project.problems)
    try:
        if reason := unfit(uuid):
            sources.seen[path] = stamp_of(project.root / path)
            raise FileFault(
                f"The folder's name cannot be a pipeline's: {reason}.", file=path, hint="Rename the folder."
            )
        top = Fields(read_mapping(sources, path, project.env), (), faults)
    except FileFault as fault:
        raise BrokenPipeline(uuid, [*faults, fault], {**project.seen, **sources.seen}) from None
    return definition(project, uuid, top, sources)


def definition(project: Project, uuid: str, top: Fields, sources: Sources) -> Definition:
    kind = top.choice("type", PIPELINE_TYPES, "python")
    name, description = top.text("name") or uuid, top.text("description", limit=10_000)
    tags, owner = tuple(top.names("tags")), top.text("owner", limit=100)
    saves_in_code(top)  # read when a trigger is made; a mistake is told here
    metadata = {**project.metadata, **top.mapping("overrides")}
    settings = pipeline_settings(top, Fields(replace(project.document, data=metadata), (), top.faults))
    entries = BlockEntries(top, sources, pipeline_type=kind, metadata=metadata)
    graph = graph_of(entries.blocks(secret_names(settings["variables"])), entries)
    if graph and not top.faults and (after := callback_files.entries(entries.after, graph)):
        settings["callbacks"] = after
    seen = {**project.seen, **sources.seen}
    if top.faults or graph is None:
        raise BrokenPipeline(uuid, top.faults, seen)
    return Definition(
        uuid=uuid,
        name=name,
        description=description,
        type=kind,
        tags=tags,
        owner=owner,
        graph=graph,
        settings=settings,
        files={path: {"sha256": source.sha256, "text": source.text} for path, source in sources.texts.items()},
        content_hash=content_hash(graph, settings, sources.texts),
        seen=seen,
    )


def graph_of(blocks: list[Block], entries: BlockEntries) -> Graph | None:
    """Build the graph, or note what hinders it at the line of the block to blame."""
    try:
        return build(blocks)
    except InvalidGraph as refusal:
        for fault in refusal.faults:
            entries.note(located(fault, entries))
        return None


def located(fault: Fault, entries: BlockEntries) -> FileFault:
    key = "upstream_blocks" if "upstream" in fault.message or "cycle" in fault.message else "uuid"
    line = entries.line(fault.block, key)
    return FileFault(fault.message, file=entries.top.document.file, line=line, hint=fault.hint)


def pipeline_settings(top: Fields, project: Fields) -> dict[str, Any]:
    """Return what a version keeps beside the graph: the pipeline's own settings over the project's."""
    executor_type = top.text("executor_type", limit=100) or None
    retention = retention_rules(project, top)
    return {
        "variables": project.mapping("variables") | top.mapping("variables"),
        "executor_type": executor_type,
        "executor_config": executor_config(project.data, executor_type, top),
        "retry_config": retry_config(project) | retry_config(top),
        "concurrency_config": concurrency_config(project) | concurrency_config(top),
        "notification_config": asked_for(project.mapping("notification_config") | top.mapping("notification_config")),
        "run_pipeline_in_one_process": top.flag("run_pipeline_in_one_process"),
        "cache_block_output_in_memory": top.flag("cache_block_output_in_memory"),
        **({"retention": retention} if retention else {}),
        **({"sla": sla} if (sla := top.seconds("sla")) else {}),
    }


def concurrency_config(entry: Fields) -> dict[str, Any]:
    """Return `concurrency_config` with its limits checked and converted, other keys kept."""
    config = entry.inner("concurrency_config")
    checked: dict[str, Any] = {key: config.integer(key, low=1, high=1_000_000) for key in CONCURRENCY_LIMITS}
    by_variable = config.inner("run_limit_by_variable")
    checked["run_limit_by_variable"] = {
        key: by_variable.integer(key, low=1, high=1_000_000) for key in by_variable.data
    }
    checked["on_pipeline_run_limit_reached"] = config.choice("on_pipeline_run_limit_reached", ("wait", "skip"), "wait")
    return {**config.data, **{key: value for key, value in checked.items() if config.data.get(key) is not None}}


def content_hash(graph: Graph, settings: Mapping[str, Any], texts: Mapping[str, TextFile]) -> str:
    content = [graph.as_dict(), settings, {path: source.sha256 for path, source in texts.items()}]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
