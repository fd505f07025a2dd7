"""Names that Mage projects import, given under Mage's module names when `mage_ai` itself is not installed.

Only what `PROVIDED` lists exists here; importing anything else of `mage_ai` says what is missing and what to install.
"""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from pipelines import inputs, variables
from pipelines.decorators import DECORATORS
from pipelines.stream_bases import BasePythonSink, BasePythonSource, SourceConsumeMethod

_job: Mapping[str, Any] = {}


class NotAvailable(RuntimeError):
    """A function of Mage that can be imported here but not called inside a block."""


class UnknownSecret(LookupError):
    """A block asked for a secret that it was not given."""


def provide(job: Mapping[str, Any]) -> None:
    """Let the functions below answer for the block of this job, and `import mage_ai...` find them."""
    global _job
    _job = job
    if asking := sys.modules.get(ASKING):  # a block before it in this process asked for it
        asking.begin()
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)  # last: an installed mage_ai comes first


def get_repo_path(*_: Any, **__: Any) -> str:
    """Absolute path of the project."""
    return str(_job["project"])


def get_secret_value(secret_name: str, *_: Any, **__: Any) -> str:
    """Value of a secret that this block names. Raises UnknownSecret."""
    try:
        return str(_job["secrets"][secret_name])
    except (KeyError, TypeError):
        raise UnknownSecret(
            f"there is no secret named {secret_name!r} for this block; create it under that name, and write the name "
            f"literally in the block: get_secret_value({secret_name!r})"
        ) from None


def get_variable(pipeline_uuid: str, block_uuid: str, variable_name: str = "output_0", **_: Any) -> Any:
    """Output of a block upstream of the running one, in the same run. Raises NotAvailable for any other."""
    if pipeline_uuid == _job["pipeline_uuid"]:
        for upstream in _job["upstream"]:
            if upstream["block"] == block_uuid:
                return _output_named(upstream, variable_name)
    here = _job["block"]["uuid"]
    raise NotAvailable(
        f"get_variable({pipeline_uuid!r}, {block_uuid!r}): only outputs of blocks directly upstream of {here!r} "
        f"in pipeline {_job['pipeline_uuid']!r} can be read; make {block_uuid!r} upstream of it"
    )


def _output_named(upstream: Mapping[str, Any], name: str) -> Any:
    if ("item" in upstream or "members" in upstream) and name == "output_0":
        return inputs.received(upstream)
    for meta in upstream.get("outputs", ()):
        if meta["name"] == name:
            return variables.load(meta, unpickle=True)
    names = ", ".join(meta["name"] for meta in upstream.get("outputs", ())) or "no output"
    raise NotAvailable(f"block {upstream['block']!r} has no output named {name!r}; it has {names}")


def _unavailable(name: str, advice: str) -> Any:
    def refuse(*_: Any, **__: Any) -> Any:
        raise NotAvailable(f"{name} is not available yet inside blocks; {advice}")

    refuse.__name__ = refuse.__qualname__ = name
    return refuse


set_global_variable = _unavailable(
    "set_global_variable", "set it under `variables:` of the pipeline's metadata.yaml, or return it as an output"
)

ASKING = "pipelines.triggering"  # loaded when a block imports one of its names: it is heavy for those that don't
PROVIDED: dict[str, Mapping[str, Any]] = {
    "mage_ai": {},
    "mage_ai.data_preparation": {},
    "mage_ai.data_preparation.decorators": DECORATORS,
    "mage_ai.data_preparation.shared": {},
    "mage_ai.data_preparation.shared.secrets": {"get_secret_value": get_secret_value},
    "mage_ai.data_preparation.variable_manager": {
        "get_variable": get_variable,
        "set_global_variable": set_global_variable,
    },
    "mage_ai.orchestration": {},
    "mage_ai.orchestration.run_status_checker": {"check_status": ASKING},
    "mage_ai.orchestration.triggers": {},
    "mage_ai.orchestration.triggers.api": {"trigger_pipeline": ASKING},
    "mage_ai.settings": {},
    "mage_ai.settings.repo": {"get_repo_path": get_repo_path},
    "mage_ai.streaming": {},
    "mage_ai.streaming.sinks": {},
    "mage_ai.streaming.sinks.base": {"BaseSink": BasePythonSink},
    "mage_ai.streaming.sinks.base_python": {"BasePythonSink": BasePythonSink},
    "mage_ai.streaming.sources": {},
    "mage_ai.streaming.sources.base": {"BaseSource": BasePythonSource, "SourceConsumeMethod": SourceConsumeMethod},
    "mage_ai.streaming.sources.base_python": {"BasePythonSource": BasePythonSource},
}


class _MageFinder:
    """Finder and loader of the modules in `PROVIDED`."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if name in PROVIDED:
            return ModuleSpec(name, self, is_package=not PROVIDED[name])  # type: ignore[arg-type]
        if name.startswith("mage_ai."):
            raise ModuleNotFoundError(_missing(name), name=name)
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        for name, value in PROVIDED[module.__name__].items():
            module.__dict__[name] = getattr(import_module(ASKING), name) if value is ASKING else value
        module.__dict__["__getattr__"] = lambda name: _attribute(module.__name__, name)


def _attribute(module: str, name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    full_name = f"{module}.{name}"
    if full_name in PROVIDED:
        return import_module(full_name)
    raise ImportError(_missing(full_name), name=full_name)


def _missing(name: str) -> str:
    return (
        f"{name} is not provided here, and mage_ai is not installed; "
        "install it (pip install mage-ai, and mage-ai in requirements.txt), or use the library behind it directly"
    )


_finder = _MageFinder()
