"""Whether a block may run: the functions marked @condition of the conditional blocks attached to it."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines import block_code, calls, decorators, failures, inputs
from pipelines.failures import BlockError

Condition = Mapping[str, Any]


def unmet(job: Mapping[str, Any], keywords: Mapping[str, Any]) -> str:
    """Evaluate the job's conditions in order; return "" if all hold, else why the first that does not, does not.

    A condition whose code fails counts as false; its traceback goes to the log.
    """
    entries = inputs.entries(job)
    for condition in job.get("conditions") or ():
        try:
            holds = _holds(condition, job["project"], entries, keywords)
        except BaseException as error:
            failure = failures.from_exception(error, job["project"])
            text = failure["traceback"] or failure["full_traceback"]
            logging.getLogger(__name__).error("condition %s failed:\n%s", condition["uuid"], text)
            return f"condition {condition['uuid']} raised {failure['type']}: {failure['message']}"
        if not holds:
            return f"condition {condition['uuid']} is false"
    return ""


def _holds(condition: Condition, project: str, entries: Sequence[inputs.Entry], keywords: Mapping[str, Any]) -> bool:
    namespace = block_code.execute(project, condition["file"], condition.get("code"))
    functions = decorators.marked(namespace, "condition")
    if not functions:
        raise BlockError(f"{condition['file']} has no function marked @condition")
    named = {**keywords, "configuration": condition.get("configuration") or {}}
    named |= {"block_uuid": condition["uuid"], "parent_block_uuid": keywords["block_uuid"]}
    return all(_answer(function, entries, named) for function in functions)


def _answer(function: decorators.Function, entries: Sequence[inputs.Entry], keywords: Mapping[str, Any]) -> bool:
    """Call one function with as many outputs of the block's upstream as it has room for."""
    parameters = calls.takes(function)
    values = [inputs.received(entry) for entry in entries[: parameters.room]]
    named = calls.named_arguments(function, parameters, len(values), keywords)
    return bool(calls.call(function, values, named))
