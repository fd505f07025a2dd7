"""Calling the functions of a callback block after its block, or after the run: those marked for what came of it."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from pipelines import block_code, calls, compat, decorators, failures, inputs, keywords


class FailedBlock(Exception):
    """What `__error` is in a callback: named like the exception that the block raised, and saying the same.

    The exception itself was raised in another process. `traceback` is the text of its traceback, of the user's own
    code; `full_traceback` of all.
    """

    traceback: str = ""
    full_traceback: str = ""


class Inputs(Mapping[str, Any]):
    """`__input`: the output of the parent block, and of those before it, by name; each is read when it is asked for."""

    def __init__(self, entries: list[inputs.Entry]) -> None:
        self.entries = {entry["block"]: entry for entry in entries}

    def __getitem__(self, uuid: str) -> Any:
        return inputs.received(self.entries[uuid])

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


def call(job: Mapping[str, Any]) -> failures.Failure | None:
    """Call each function marked for the job's outcome; return the first failure, the others are in the log.

    Raises what the callback's file raises when it is executed, and BlockError.
    """
    given, block = job["callback"], job["block"]
    entries = known_outputs(given)
    compat.provide({**job, "upstream": entries})
    namespace = block_code.execute(job["project"], block["file"], job.get("code"))
    functions = decorators.marked(namespace, f"on_{given['outcome']}")
    named = arguments(job, entries)
    found: list[failures.Failure] = []
    for function in functions:
        try:
            _call(function, entries if given["block"] else [], named)
        except BaseException as error:
            failure = failures.from_exception(error, job["project"])
            if found:  # the first one is shown with the callback's block run
                text = failure["traceback"] or failure["full_traceback"]
                logging.getLogger(__name__).error("%s failed:\n%s", calls.name_of(function), text)
            found.append(failure)
    if not functions:
        logging.getLogger(__name__).info("%s has no function for %s: nothing to do", block["uuid"], given["outcome"])
    return found[0] if found else None


def known_outputs(given: Mapping[str, Any]) -> list[inputs.Entry]:
    """The parent block, if there is one, as an entry like those of its upstream, and these."""
    parent = given.get("block")
    first = [{"block": parent["uuid"], "outputs": given.get("outputs") or []}] if parent else []
    return [*first, *(given.get("upstream") or [])]


def arguments(job: Mapping[str, Any], entries: list[inputs.Entry]) -> dict[str, Any]:
    """What a callback's functions may name: as in Mage, and the outcome and the run's status beside it."""
    given = job["callback"]
    parent = given.get("block")
    named = {"outcome": given["outcome"], "run_status": given.get("run_status")}
    named |= keywords.keyword_arguments(job)
    named["parent_block_uuid"] = parent["uuid"] if parent else None
    named["__input"] = Inputs(entries)
    named["__error"] = as_exception(given.get("error"))
    return named


def as_exception(error: Mapping[str, Any] | None) -> FailedBlock | None:
    if not error:
        return None
    kind = type(str(error.get("type") or "Failure"), (FailedBlock,), {"__module__": "builtins"})
    raised: FailedBlock = kind(error.get("message", ""))
    raised.traceback, raised.full_traceback = error.get("traceback", ""), error.get("full_traceback", "")
    return raised


def _call(function: decorators.Function, entries: list[inputs.Entry], named: Mapping[str, Any]) -> None:
    """Give the parent's output as the first positional argument, if the function has room for one."""
    parameters = calls.takes(function)
    values = [inputs.received(entries[0]) if entries else None] if parameters.room != 0 else []
    calls.call(function, values, calls.named_arguments(function, parameters, len(values), named))
