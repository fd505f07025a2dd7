"""Blocks as a pipeline's metadata.yaml and their code files describe them. Code is parsed, never imported."""

import ast
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from pipelines import exception_names, slips
from pipelines.fields import Fields
from pipelines.files import FileFault, TextFile, shown
from pipelines.graph import EXECUTABLE_TYPES, OTHER_TYPES, TRIGGER_RULES, UNSUPPORTED_TYPES, Block
from pipelines.marks import marks, parse_code
from pipelines.pool_fields import pool_of
from pipelines.stream_blocks import STREAM_MARKS, unsupported_in_stream
from pipelines.templating import secret_names

BLOCK_TYPES = (*EXECUTABLE_TYPES, *UNSUPPORTED_TYPES, *OTHER_TYPES)
FOLDERS = {kind: kind if kind == "custom" else f"{kind}s" for kind in BLOCK_TYPES}
EXTENSIONS = {"python": "py", "sql": "sql", "r": "r", "yaml": "yaml", "markdown": "md"}
LANGUAGES = {"py": "python", "sql": "sql", "r": "r", "yaml": "yaml", "yml": "yaml", "md": "markdown"}
LANGUAGE_NAMES = {"sql": "SQL", "r": "R", "yaml": "YAML", "markdown": "Markdown"}
# What makes a function the one to call; a callback's and a condition's file may have several.
DECORATORS = {kind: (kind,) for kind in EXECUTABLE_TYPES} | {
    "callback": ("callback", "on_success", "on_failure", "on_cancelled"),
    "conditional": ("condition",),
}
EXECUTOR_SECTIONS = {  # what the project's metadata.yaml says about an executor
    "k8s": "k8s_executor_config",
    "ecs": "ecs_config",
    "gcp_cloud_run": "gcp_cloud_run_config",
    "azure_container_instance": "azure_container_instance_config",
}
FAN_OUT = ("data_loader", "transformer", "data_exporter", "custom")  # what may return items for others to run over
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


def read_block(entry: Fields, *, kind: str, pipeline_type: str, metadata: Mapping[str, Any]) -> Block | None:
    """Read one entry of `blocks`, `callbacks` or `conditionals`; None, with the fault noted, where no name fits.

    `kind` is the type of an entry that names none, "" where it must; `metadata` the project's. The code file is
    named but not looked at.
    """
    uuid = entry.text("uuid")
    if reason := unfit(uuid):
        entry.fault(f"Block uuid {shown(uuid)!r}: {reason}." if uuid else "This block has no uuid.", "uuid")
        return None
    type_ = entry.choice("type", BLOCK_TYPES, kind) if kind or entry.data.get("type") else ""
    if not type_:
        entry.fault(f"Block {uuid!r} has no type.", hint=f"Use one of: {', '.join(EXECUTABLE_TYPES)}.")
    type_ = type_ or "custom"
    slips.check(entry, slips.BLOCK_KEYS, "A block")
    configuration, poking = entry.inner("configuration"), Either(entry, entry.inner("configuration"))
    executor_type = entry.text("executor_type", limit=100) or None
    pool, pool_slots = pool_of(entry)
    language = language_of(entry, configuration)
    return Block(
        uuid=uuid,
        name=entry.text("name") or uuid,
        type=type_,
        language=language,
        upstream=tuple(entry.names("upstream_blocks")),
        file=file_of(uuid, type_, language, configuration),
        configuration=configuration.data,
        executor_type=executor_type,
        executor_config=executor_config(metadata, executor_type, entry),
        retry_config=retry_config(entry),
        timeout=entry.seconds("timeout"),
        priority=entry.integer("priority", low=-1000, high=1000) or 0,
        pool=pool,
        pool_slots=pool_slots,
        resources=entry.mapping("resources"),
        trigger_rule=entry.choice("trigger_rule", TRIGGER_RULES, "all_success"),
        sla=entry.seconds("sla"),
        heartbeat_timeout=poking("heartbeat_timeout").seconds("heartbeat_timeout", low=1),
        poke_interval=poking("poke_interval").seconds("poke_interval", low=0.1) or 60.0,
        poke_timeout=poking("poke_timeout").seconds("poke_timeout"),
        soft_fail=poking("soft_fail").flag("soft_fail"),
        callbacks=tuple(entry.names("callback_blocks")),
        conditions=tuple(entry.names("conditional_blocks")),
        replicated_block=entry.text("replicated_block") or None,
        dynamic=dynamic(poking("dynamic"), type_),
        reduce_output=poking("reduce_output").flag("reduce_output"),
        secrets=tuple(sorted({*entry.names("secrets"), *secret_names(entry.data)})),
        unsupported=unsupported(type_, language, pipeline_type),
    )


def dynamic(entry: Fields, kind: str) -> bool:
    is_dynamic = entry.flag("dynamic")
    if is_dynamic and kind not in FAN_OUT:
        hint = f"Types that can be dynamic: {', '.join(FAN_OUT)}."
        entry.fault(f"dynamic: a {kind} returns no items to fan out over.", "dynamic", hint)
    return is_dynamic


class Either:
    """A key beside the block's others, or in its `configuration`: Mage keeps some here, some there."""

    def __init__(self, entry: Fields, configuration: Fields) -> None:
        self.entry = entry
        self.configuration = configuration

    def __call__(self, key: str) -> Fields:
        return self.entry if self.entry.data.get(key) is not None else self.configuration


def unfit(uuid: str) -> str:
    """Say why a name cannot be that of a block, or ""."""
    parts = uuid.split("/")
    if not uuid.strip():
        return "it is empty"
    if len(uuid) > 200:
        return "it is longer than 200 characters"
    if not uuid.isprintable() or "\\" in uuid or uuid != uuid.strip():
        return "it contains a character that is not allowed"
    if any(part in ("", ".", "..") for part in parts):
        return "it must not lead out of its folder"
    if any(part.split(".")[0].lower() in RESERVED for part in parts):
        return "it is a reserved name on some systems"
    return ""


def language_of(entry: Fields, configuration: Fields) -> str:
    if entry.data.get("language"):
        return entry.choice("language", tuple(EXTENSIONS), "python")
    named = source_path(configuration)
    return LANGUAGES.get(PurePosixPath(named).suffix.lstrip("."), "python") if named else "python"


def file_of(uuid: str, kind: str, language: str, configuration: Fields) -> str:
    """Return where the code is: the path that the configuration names, or the place its type and name give it."""
    extension = f".{EXTENSIONS[language]}"
    name = uuid if uuid.endswith(extension) else uuid + extension
    return source_path(configuration) or f"{FOLDERS[kind]}/{name}"


def source_path(configuration: Fields) -> str:
    return configuration.inner("file_source").text("path", limit=1000) or configuration.text("file_path", limit=1000)


def executor_config(metadata: Mapping[str, Any], executor_type: str | None, entry: Fields) -> dict[str, Any]:
    """Merge the entry's own settings of its executor over those of the project's metadata."""
    section = metadata.get(EXECUTOR_SECTIONS.get(executor_type or "", "")) or {}
    return (section if isinstance(section, dict) else {}) | entry.mapping("executor_config")


def retry_config(entry: Fields) -> dict[str, Any]:
    """Return `retry_config` with its known keys checked and converted, others kept, and what is left empty left out."""
    config = entry.inner("retry_config")
    checked = {
        "retries": config.integer("retries", low=0, high=1000),
        "delay": config.seconds("delay", zero_is_none=False),
        "max_delay": config.seconds("max_delay", zero_is_none=False),
        "exponential_backoff": config.flag("exponential_backoff", default=True),
        "jitter": config.number("jitter", low=0, high=1),
        "retry_on": exception_list(config, "retry_on"),
        "give_up_on": exception_list(config, "give_up_on"),
    }
    slips.check(config, checked, "retry_config")
    given = {key: value for key, value in config.data.items() if value is not None and value != ""}
    return {key: checked.get(key, value) for key, value in given.items()}


def exception_list(config: Fields, key: str) -> list[str]:
    names = config.names(key)
    for name in names:
        if exception_names.unfit(name):
            hint = "For example ValueError or requests.Timeout."
            config.fault(f"{key}: {shown(name)!r} cannot be the name of an exception.", key, hint=hint)
    return names


def unsupported(kind: str, language: str, pipeline_type: str) -> str:
    """Say why a block cannot be executed here, or ""."""
    if kind in OTHER_TYPES:
        return ""
    if pipeline_type == "streaming":
        return unsupported_in_stream(kind, language)
    if pipeline_type == "integration":
        return f"{pipeline_type} pipelines are not executable here yet"
    if kind in UNSUPPORTED_TYPES:
        return f"{kind} blocks are not executable here yet"
    if language != "python":
        return f"{LANGUAGE_NAMES[language]} blocks are not executable here yet"
    return ""


def check_code(block: Block, source: TextFile, *, pipeline_type: str = "python") -> set[str]:
    """Return the names of the secrets that the code asks for; raise FileFault if it cannot be the block's code."""
    tree = parse_code(source)
    of_stream = STREAM_MARKS if pipeline_type == "streaming" else {}
    wanted = of_stream.get(block.type) or DECORATORS[block.type]
    marked = [name for name in marks(tree) if name[0] in wanted]
    mark = f"@{wanted[0]}"
    if not marked:
        others = [name for name, _ in marks(tree) if name != "test"]
        what = "class" if mark.startswith("@streaming_") else "function"
        hint = f"It has @{others[0]}: change that, or the block's type." if others else f"Put {mark} above the {what}."
        message = f"block {block.uuid} has no {what} marked {mark}"
        raise FileFault(message, file=source.path, hint=hint)
    if block.executable and len(marked) > 1:
        what = "classes" if mark.startswith("@streaming_") else "functions"
        message = f"block {block.uuid} has {len(marked)} {what} marked {mark}; keep one"
        raise FileFault(message, file=source.path, line=marked[1][1])
    return secrets_in(tree) if "secret" in source.text else set()


def secrets_in(tree: ast.Module) -> set[str]:
    """Return the names in `get_secret_value('name')`; one that is worked out when it runs cannot be known."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("get_secret_value", "secret_var", "mage_secret_var"):
            given = [*node.args[:1], *(each.value for each in node.keywords if each.arg == "secret_name")]
            found |= {each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)}
    return found
