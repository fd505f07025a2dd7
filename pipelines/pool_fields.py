"""Pools as metadata.yaml writes them: the slots a block takes, and the pools a project has."""

from collections.abc import Mapping
from typing import NamedTuple

from pipelines.fields import Fields
from pipelines.files import shown

MOST_SLOTS = 1_000_000


class PoolSlots(NamedTuple):
    """How many slots a pool of the project has, and what it is for."""

    slots: int
    description: str = ""


def pool_of(entry: Fields) -> tuple[str | None, int]:
    """Read a block's `pool: name`, with `pool_slots: 2` beside it, or `pool: {name: x, slots: 2}`."""
    slots = entry.integer("pool_slots", low=1, high=MOST_SLOTS)
    if not isinstance(entry.data.get("pool"), dict):
        name = entry.text("pool", limit=100) or None
        if slots is not None and name is None:
            entry.fault("pool_slots without a pool.", "pool_slots", hint="Name it: pool: warehouse.")
        return name, slots or 1
    inner = entry.inner("pool")
    refuse_unknown(inner, ("name", "slots"))
    name = inner.text("name", limit=100) or None
    if inner.data and name is None:
        inner.fault("pool: it has no name.", hint="Write pool: {name: warehouse, slots: 2}.")
    return name, inner.integer("slots", low=1, high=MOST_SLOTS) or slots or 1


def pools_of(project: Fields) -> Mapping[str, PoolSlots]:
    """Read the project's `pools: {warehouse: 4}`, or `{warehouse: {slots: 4, description: …}}`."""
    section = project.inner("pools")
    found: dict[str, PoolSlots] = {}
    for key in section.data:
        name = str(key)
        if not name.strip() or len(name) > 100 or not name.isprintable() or name != name.strip():
            section.fault(f"pools: {shown(name)!r} cannot be the name of a pool.", key, "Use up to 100 characters.")
            continue
        if isinstance(section.data[key], dict) and section.data[key]:
            inner, slots_key = section.inner(key), "slots"
            refuse_unknown(inner, ("slots", "description"))
        else:
            inner, slots_key = section, key
        before = len(project.faults)
        slots, description = inner.integer(slots_key, low=1, high=MOST_SLOTS), ""
        if inner is not section:
            description = inner.text("description", limit=500)
        if slots is None and len(project.faults) == before:
            section.fault(f"pools: {shown(name)} has no number of slots.", key, f"Write {shown(name)}: 4.")
        elif slots is not None:
            found[name] = PoolSlots(slots, description)
    return found


def refuse_unknown(entry: Fields, known: tuple[str, ...]) -> None:
    for key in entry.data:
        if key not in known:
            entry.fault(f"unknown key {shown(str(key))!r}.", key, hint=f"Use: {', '.join(known)}.")
