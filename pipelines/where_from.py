"""Where a version has each of its settings from: the pipeline's own file, or the project's. No Django, no disk."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pipelines import yaml_files
from pipelines.files import FileFault, Stamp, TextFile

PIPELINE, PROJECT, OVERRIDES, DEFAULT = "pipeline", "project", "pipeline (overrides)", "default"
NOWHERE = Stamp(0, 0)


class Setting(NamedTuple):
    """A setting by its name; one that is nested is told key by key ("retry_config.retries")."""

    name: str
    value: Any
    origin: str


class Sources(NamedTuple):
    """What the pipeline's own file says, and what it says in place of the project's."""

    own: Mapping[str, Any]
    overrides: Mapping[str, Any]

    def origin(self, section: str, key: str | None = None) -> str:
        """Return whose word a setting is, by its section and the key in that."""
        for given, name in ((self.own, PIPELINE), (self.overrides, OVERRIDES)):
            found = given.get(section)
            if found is not None if key is None else isinstance(found, Mapping) and key in found:
                return name
        return PROJECT


def sources_of(path: str, files: Mapping[str, Mapping[str, Any]], env: Mapping[str, str]) -> Sources | None:
    """Read the pipeline's metadata.yaml as a version keeps it; None where its text is not kept or makes no sense."""
    text = (files.get(path) or {}).get("text")
    if text is None:
        return None
    try:
        data = yaml_files.parse(TextFile(path, text, "", NOWHERE), env=env).data
    except FileFault:  # it may need what this process does not have, such as an environment variable
        return None
    own = data if isinstance(data, Mapping) else {}
    overrides = own.get("overrides")
    return Sources(own, overrides if isinstance(overrides, Mapping) else {})


def settings_of(settings: Mapping[str, Any], sources: Sources | None) -> Iterator[Setting]:
    """Yield the settings of a version that say something, each with its origin ("" where nobody can know)."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            for key, each in value.items():
                yield Setting(f"{name}.{key}", each, sources.origin(name, key) if sources else "")
        elif value not in (None, "", False, []):
            yield Setting(name, value, sources.origin(name) if sources else "")
