"""A trigger's `settings` to and from its form: which field holds which of them, and what is worth writing down."""

from collections.abc import Mapping
from typing import Any

from schedules.policies import READERS, Settings
from schedules.setting_readers import InvalidSettings

# One field each, of the same name.
SIMPLE = tuple(name for name in READERS if name not in ("retry_config", "after"))
# The fields of those that are made of several.
PARTS = {
    "retry_config": {
        "retries": "retries",
        "delay": "retry_delay",
        "max_delay": "retry_max_delay",
        "exponential_backoff": "retry_steady",  # the other way round: what is not ticked is the default
    },
    "after": {"pipelines": "after_pipelines", "match": "after_match", "on": "after_on"},
}
PLAIN = Settings()


def settings_of(typed: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON of what was typed: without defaults, what means the same as before as it was written before."""
    found = {name: typed.get(name) for name in SIMPLE}
    found["retry_config"] = retries_of(typed, stored.get("retry_config"))
    found["after"] = chain_of(typed) if typed.get("schedule_type") == "event" or "after" in stored else None
    kept = {name: value for name, value in stored.items() if name not in READERS}
    for name, value in found.items():
        if value in (None, ""):
            continue
        if name in stored and meaning(name, value) == meaning(name, stored[name]):
            kept[name] = stored[name]
        elif meaning(name, value) != getattr(PLAIN, name):
            kept[name] = value
    return kept


def retries_of(typed: Mapping[str, Any], stored: Any) -> dict[str, Any] | None:
    """Return the retry_config that was typed, with what else is in the one that is stored."""
    before = stored if isinstance(stored, Mapping) else {}
    found = {key: value for key, value in before.items() if key not in PARTS["retry_config"]}
    for key, field in PARTS["retry_config"].items():
        value = typed.get(field)
        if key == "exponential_backoff":
            value = False if value else (True if key in before else None)
        if value is not None:
            found[key] = value
    return found or None


def chain_of(typed: Mapping[str, Any]) -> dict[str, Any] | None:
    if not typed.get("after_pipelines"):
        return None
    return {key: typed[field] for key, field in PARTS["after"].items() if typed.get(field)}


def meaning(name: str, value: Any) -> Any:
    """Return what a setting's JSON stands for; for what makes no sense, the JSON itself."""
    try:
        return READERS[name](name, value)
    except InvalidSettings:
        return value


def values_of(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the form shows of the settings."""
    found = {name: stored[name] for name in SIMPLE if stored.get(name) is not None}
    for name, parts in PARTS.items():
        inner = stored.get(name)
        if isinstance(inner, Mapping):
            found |= {field: inner[key] for key, field in parts.items() if inner.get(key) is not None}
    if "retry_steady" in found:
        found["retry_steady"] = found["retry_steady"] is False
    return found


def field_of(path: str) -> str:
    """Return the form's field for the path of a refusal: "settings.retry_config.delay" → "retry_delay"."""
    name, _, rest = path.removeprefix("settings.").partition(".")
    parts = PARTS.get(name)
    if parts is None:
        return name
    return parts.get(rest.partition(".")[0], next(iter(parts.values())))
