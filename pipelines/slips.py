"""Keys that are nearly right: read as nothing, they would cost a block what its author thinks that it has."""

import difflib
from collections.abc import Collection

from pipelines.fields import Fields
from pipelines.files import shown

ALIKE = 0.75  # of difflib's ratio: `triger_rule`, `retrys`; other tools' keys stay what they are
# What an entry of a block may have: Mage's keys and ours.
# fmt: off
BLOCK_KEYS = frozenset({
    "uuid", "name", "type", "language", "status", "upstream_blocks", "downstream_blocks", "configuration",
    "executor_type", "executor_config", "retry_config", "timeout", "has_callback", "groups", "color",
    "replicated_block", "callback_blocks", "conditional_blocks", "content", "trigger_rule", "priority", "pool",
    "pool_slots", "resources", "sla", "heartbeat_timeout", "poke_interval", "poke_timeout", "soft_fail",
    "dynamic", "reduce_output", "secrets", "file_path", "file_source", "error", "outputs", "metrics", "tags",
    "description",
})
# fmt: on


def check(entry: Fields, known: Collection[str], what: str) -> None:
    """Note a fault for each key of `entry` that is not `known` but looks like one that is. `what` is whose keys."""
    for key in (key for key in map(str, entry.data) if key not in known):
        if meant := difflib.get_close_matches(key[:200], list(known), n=1, cutoff=ALIKE):
            entry.fault(f"{what} has no key {shown(key)!r}.", key, hint=f"Did you mean {meant[0]}?")
