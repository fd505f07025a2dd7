"""What a block may ask of its worker while it runs: verbs by name. Whatever is asked, the worker lives on."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import InterfaceError, OperationalError, connections

from executors.base import Answer
from pipelines.refusal import Refusal
from runs.models import BlockRun

logger = logging.getLogger(__name__)
AGAIN_SECONDS = 1.0


@dataclass(frozen=True)
class Wait:
    """The answer is there when this run is finished, or after so many seconds."""

    run_id: int
    seconds: float | None = None


Handler = Callable[[BlockRun, Mapping[str, Any], datetime], Answer | Wait]
# By the request's "verb"; what is above adds its own when apps load.
VERBS: dict[str, Handler] = {}


def reply_to(block_run: BlockRun, request: Mapping[str, Any], moment: datetime) -> Answer | Wait:
    """Answer a running block's question, or say what to wait for. Raises nothing."""
    handler = VERBS.get(str(request.get("verb")))
    if handler is None:
        names = ", ".join(sorted(VERBS))
        return error("CannotAsk", f"a worker cannot be asked {str(request.get('verb'))[:80]!r}; it knows: {names}")
    try:
        return handler(block_run, request, moment)
    except Refusal as refusal:
        return error("Refused", str(refusal), code=refusal.code)
    except (OperationalError, InterfaceError) as trouble:
        logger.warning("the database does not answer a block, which asks again: %s", str(trouble).strip()[:200])
        connections.close_all()
        return {"again": AGAIN_SECONDS}
    except Exception as unforeseen:  # a block's question must not end the worker
        logger.exception("block run %s could not be answered", block_run.pk)
        return error("CannotAsk", f"the worker could not answer ({type(unforeseen).__name__}); its log says why")


def error(kind: str, message: str, **more: Any) -> Answer:
    return {"error": {"type": kind, "message": message, **more}}
