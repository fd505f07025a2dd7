"""Where the demo keeps its files: the data it ships with, and the state its pipelines write."""

import os
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def data_file(name: str) -> Path:
    """A file that ships with the project."""
    return PROJECT / "data" / name


def state_file(*parts: str) -> Path:
    """A file that the pipelines write, in `.state/` or in the folder that DEMO_STATE_DIR names; its folder exists."""
    path = Path(os.environ.get("DEMO_STATE_DIR") or PROJECT / ".state").joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def replace_file(path: Path, content: bytes | str) -> int:
    """Write a file so that readers see the old content or the new, never a half; return its size in bytes."""
    data = content.encode() if isinstance(content, str) else content
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    os.chmod(draft, 0o644)
    os.replace(draft, path)
    return len(data)
