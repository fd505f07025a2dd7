"""How long what a pipeline's runs leave behind is kept, as metadata.yaml says it. No rule: it is kept for ever.

`retention: {runs: {age: 90d, count: 1000}, logs: {age: 30d}, outputs: {age: 2w}}`; beside it Mage's own keys,
`variables_retention_period` (outputs) and `logging_config: {retention_period: …}` (logs).
"""

import re
from collections.abc import Mapping
from datetime import timedelta

from pipelines.fields import Fields
from pipelines.files import shown
from pipelines.graph import nearest
from pipelines.refusal import Refusal

KINDS = ("runs", "logs", "outputs")
LIMITS = ("age", "count")
AGE = re.compile(r"(\d{1,6})\s*([hdw])")
HOURS = {"h": 1, "d": 24, "w": 168}
MOST_HOURS = 876_000  # a hundred years
MOST_RUNS = 100_000  # of a count: that many rows are stepped over at each look
AGE_HINT = "Write a number and h, d or w: 12h, 30d, 4w; or forever."

Rule = Mapping[str, int | None]  # "age" in hours, "count" of newest finished runs; None: no limit, whoever set one
Rules = dict[str, dict[str, int]]  # kind → its limits, as a version's settings keep them


def read_age(text: str) -> timedelta:
    """Return the age that a text like `30d` means; raise Refusal for anything else."""
    hours = hours_in(text)
    if hours is None:
        message = f"{shown(text)!r} is not an age."
        raise Refusal(message, field="retention-period", hint="Write a number and h, d or w: 12h, 30d, 4w.")
    return timedelta(hours=hours)


def hours_in(text: str) -> int | None:
    match = AGE.fullmatch(text.strip().lower())
    hours = int(match[1]) * HOURS[match[2]] if match else 0
    return hours if 1 <= hours <= MOST_HOURS else None


def in_words(rule: Mapping[str, int]) -> str:
    """Return a rule for people: "30 d or older, beyond the newest 1000 runs"."""
    parts = []
    if "age" in rule:
        hours = rule["age"]
        parts.append(f"older than {hours // 24} d" if hours % 24 == 0 else f"older than {hours} h")
    if "count" in rule:
        parts.append(f"beyond the newest {rule['count']}")
    return " or ".join(parts) or "kept for ever"


def merged(*entries: Fields) -> Rules:
    """Read the rules of a project and then of a pipeline: the nearest wins, key by key. Only limits that hold."""
    found: dict[str, dict[str, int | None]] = {kind: {} for kind in KINDS}
    for entry in entries:
        for kind, rule in rules_of(entry).items():
            found[kind].update(rule)
    limits = {kind: {key: value for key, value in rule.items() if value is not None} for kind, rule in found.items()}
    return {kind: rule for kind, rule in limits.items() if rule}


def rules_of(entry: Fields) -> dict[str, Rule]:
    """Return what one metadata.yaml says; mistakes are noted as faults at their lines."""
    found: dict[str, dict[str, int | None]] = {kind: {} for kind in KINDS}
    found["outputs"].update(age_at(entry, "variables_retention_period", "age"))
    found["logs"].update(age_at(entry.inner("logging_config"), "retention_period", "age"))
    retention = entry.inner("retention")
    tell_unknown(retention, KINDS)
    for kind in KINDS:
        rule = retention.inner(kind)
        tell_unknown(rule, LIMITS)
        found[kind].update(age_at(rule, "age", "age"))
        found[kind].update(count_at(rule))
    return dict(found)


def tell_unknown(entry: Fields, known: tuple[str, ...]) -> None:
    for key in entry.data:
        if key not in known:
            hint = nearest(str(key), known) or f"Use: {', '.join(known)}."
            entry.fault(f"retention: unknown key {shown(str(key))!r}.", key, hint=hint)


def age_at(entry: Fields, key: str, name: str) -> Rule:
    text = entry.text(key).strip().lower()
    if not text:
        return {}
    if text == "forever":
        return {name: None}
    hours = hours_in(text)
    if hours is None:
        entry.fault(f"{key}: {shown(text)!r} is not an age.", key, hint=AGE_HINT)
        return {}
    return {name: hours}


def count_at(rule: Fields) -> Rule:
    if str(rule.data.get("count", "")).strip().lower() == "all":
        return {"count": None}
    count = rule.integer("count", low=1, high=MOST_RUNS)
    return {} if count is None else {"count": count}
