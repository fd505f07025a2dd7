"""Making a new project: a copy of new_project/, whole or not at all."""

import os
import shutil
import tempfile
from pathlib import Path

from pipelines.files import shown
from pipelines.refusal import Refusal

TEMPLATE = Path(__file__).parent / "new_project"
# The suffix keeps the template's files from being taken for modules of ours, or for rules of our own repository.
NAMES = {"gitignore-tpl": ".gitignore"}
SUFFIX = "-tpl"


def create_project(path: Path) -> list[str]:
    """Copy the template to `path` and return the files, relative to it; refuse a folder that has something in it."""
    path = path.expanduser().absolute()
    refuse_occupied(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{path.name[:50]}-", dir=path.parent))
        try:
            files = sorted(copy(source, made) for source in TEMPLATE.rglob("*") if source.is_file())
            settle(made, path)
        except BaseException:
            shutil.rmtree(made)
            raise
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        hint = "Name a new folder in a place that can be written."
        raise Refusal(f"{shown(str(path), 200)} cannot be made ({reason}).", field="path", hint=hint) from None
    return files


def settle(made: Path, path: Path) -> None:
    """Let `made` become `path`; an empty folder that is there is filled, as somebody may stand in it."""
    if not path.is_dir():
        made.chmod(0o755)
        os.rename(made, path)
        return
    for child in made.iterdir():
        os.rename(child, path / child.name)
    made.rmdir()


def refuse_occupied(path: Path) -> None:
    try:
        is_occupied = os.path.lexists(path) and (not path.is_dir() or any(path.iterdir()))
    except OSError as error:
        raise Refusal(f"{shown(str(path), 200)} cannot be looked at ({error.strerror}).", field="path") from None
    if is_occupied:
        what = "is not empty" if path.is_dir() else "is a file"
        raise Refusal(f"{path} {what}.", field="path", hint="Name a new or an empty folder; nothing was changed.")


def copy(source: Path, made: Path) -> str:
    relative = source.relative_to(TEMPLATE)
    name = NAMES.get(relative.name, relative.name.removesuffix(SUFFIX))
    target = made / relative.with_name(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return str(relative.with_name(name))
