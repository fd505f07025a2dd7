"""What the functions of a block get by name: users' variables, and over them what the run knows."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

MOMENTS = (
    "execution_date",
    "interval_start_datetime",
    "interval_end_datetime",
    "interval_start_datetime_previous",
)


def keyword_arguments(job: Mapping[str, Any]) -> dict[str, Any]:
    """All keyword arguments that a function of the job's block may name."""
    block, context = job["block"], job["context"]
    keywords = {**job["variables"], **context}
    if "env" in job["variables"]:
        keywords["env"] = job["variables"]["env"]
    for name in MOMENTS:
        if text := context.get(name):
            keywords[name] = datetime.fromisoformat(text)
    keywords["configuration"] = block.get("configuration") or {}
    keywords["pipeline_uuid"] = job["pipeline_uuid"]
    keywords["block_uuid"] = block["uuid"]
    keywords["context"] = {}  # for what the functions of one block want to tell each other
    keywords["logger"] = logging.getLogger(f"{job['pipeline_uuid']}.{block['uuid']}")
    return keywords
