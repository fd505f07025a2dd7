"""A block's file as a module: found, compiled under its real path, with the decorators in its globals."""

import linecache
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any

from pipelines.decorators import DECORATORS

FOLDERS = frozenset(
    ("data_loaders", "transformers", "data_exporters", "sensors", "custom", "conditionals", "callbacks"),
)


def enter(project: str) -> None:
    """Make `project` the working folder, and its modules importable both as `utils.x` and as `<folder>.utils.x`."""
    os.chdir(project)
    if project not in sys.path:
        sys.path.insert(0, project)
    if (parent := os.path.dirname(project)) not in sys.path:
        sys.path.append(parent)  # last, so that neighbors of the project hide nothing
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def execute(project: str, file: str, text: str | None = None) -> dict[str, Any]:
    """Run a block's code and return its globals: `text`, or what is in `file` (relative to the project) by now.

    Raises OSError when the file can't be read, SyntaxError, and whatever the code itself raises.
    """
    path = os.path.join(project, file)
    if text is None:
        with open(path, "rb") as stream:
            code = compile(stream.read(), path, "exec", dont_inherit=True)
    else:
        show_lines_of(path, text)
        code = compile(text, path, "exec", dont_inherit=True)
    module = ModuleType(_module_name(file, path))
    module.__file__ = path
    module.__package__ = module.__name__.rpartition(".")[0]
    namespace = module.__dict__
    namespace.update(DECORATORS)
    # Known by its name, so that classes of a block can be pickled and its dataclasses can find their module.
    sys.modules[module.__name__] = module
    exec(code, namespace)  # noqa: S102 - this is what a block's process is for
    return namespace


def show_lines_of(path: str, text: str) -> None:
    """Have tracebacks and `inspect` show this text as the file's, whatever the file holds by now."""
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)  # None: never looked up again


def _module_name(file: str, path: str) -> str:
    """`data_loaders.load` for data_loaders/load.py; never the name of a module that comes from elsewhere."""
    name = file.removesuffix(".py").replace("/", ".")
    known = sys.modules.get(name)
    if name.partition(".")[0] in sys.stdlib_module_names or (known and getattr(known, "__file__", None) != path):
        return f"block_code.{name}"
    return name


class _BlockFinder:
    """Gives the decorators to a block's file that is imported by its name, by user code or by an unpickler."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        first, _, rest = name.partition(".")
        if first not in FOLDERS and rest.partition(".")[0] not in FOLDERS:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = _BlockLoader(spec.loader.name, spec.loader.path)
        return spec


class _BlockLoader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update(DECORATORS)
        super().exec_module(module)


_finder = _BlockFinder()
