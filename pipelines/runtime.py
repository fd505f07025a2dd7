"""Runs one block: the only code that touches users' code. Job in, result out, both plain JSON; no Django, no database.

It works in a block's own process, forked from a process that has imported this module: keep what it imports small.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pipelines import (
    block_code,
    callbacks,
    calls,
    compat,
    conditions,
    decorators,
    failures,
    fanouts,
    formats,
    inputs,
    previews,
    storage,
    typed_json,
    variables,
)
from pipelines.failures import BlockError
from pipelines.keywords import keyword_arguments
from pipelines.questions import ask_through as ask_through  # for executors.child: how blocks ask

Result = dict[str, Any]

RUNNABLE = ("data_loader", "transformer", "data_exporter", "custom", "sensor")
REHEARSAL = """
if 'custom' not in globals():
    from mage_ai.data_preparation.decorators import custom

@custom
def work(*args, **kwargs):
    return {'rows': [1]}
"""


def run_block(job: Mapping[str, Any]) -> Result:
    """Run the block of `job` once and say what became of it.

    Returns {"verdict": "completed" | "failed" | "not_yet" | "condition_failed", "outputs": [meta, ...], "failure": None
    or a dict of type, message, traceback (users' code only), full_traceback and bases}; "fanout" (see fanouts) of a
    dynamic block, "received" (rows_in and bytes_in of its upstream) of one that completed, "reason" where a condition
    is not met. Whatever a user's code does short of ending the process is in the result; nothing is raised. Changes
    the working folder and sys.path of this process.
    """
    return _answered(_run, job)


def run_callback(job: Mapping[str, Any]) -> Result:
    """Call the functions of a callback block for the outcome that `job["callback"]` names; a result as of run_block.

    `callback`: {"outcome": "success" | "failure" | "cancelled", "block": the parent's entry or None for the run itself,
    "run_status", "error": its failure or None, "outputs": its metas, "upstream": the entries that it had}.
    """
    return _answered(_call_back, job)


def run_stream(job: Mapping[str, Any]) -> Result:
    """Run a streaming pipeline until it ends or is told to stop; a result as of `pipelines.streaming.run`."""
    from pipelines import questions, streaming  # what these import is not needed by other blocks

    return _answered(lambda job: streaming.run(job, questions.ask), job)


def _answered(work: Callable[[Mapping[str, Any]], Result], job: Mapping[str, Any]) -> Result:
    process = os.getpid()
    try:
        result = work(job)
    except BaseException as error:
        result = _failed(failures.from_exception(error, job["project"]))
    if os.getpid() != process:
        # User code forked and let the copy run on; only the original may answer for the block.
        with suppress(ValueError, OSError):  # it may have been closed
            sys.stdout.flush()
        os._exit(0 if result["verdict"] == "completed" else 1)
    return result


def rehearse() -> None:
    """Do in memory what running a block does, in a process that was forked ahead of need and waits for its job.

    A forked process copies each page of memory when it first touches it. Rehearsing does that before the job comes,
    which is about half of what a trivial block takes. Leaves nothing on disk.
    """
    block = {"uuid": "rehearsal", "type": "custom", "upstream": []}
    job = {"pipeline_uuid": "", "block": block, "upstream": [], "variables": {}, "context": {}}
    namespace: dict[str, Any] = dict(decorators.DECORATORS)
    exec(compile(REHEARSAL, "<rehearsal>", "exec", dont_inherit=True), namespace)  # noqa: S102 - our own words
    value = _call_with_upstream(_decorated_function(block, namespace), job, keyword_arguments(job))
    text, tagged = typed_json.dumps(value)
    storage.write(os.devnull, text.encode("ascii"))
    typed_json.loads(storage.read(os.devnull) or text, tagged=tagged)
    previews.describe(value)


def _run(job: Mapping[str, Any]) -> Result:
    block = job["block"]
    is_skipped = block["type"] == "sensor" and job.get("skip_sensor")
    if is_skipped and not job.get("conditions"):
        return _completed([])
    _check_runnable(job)
    _enter(job["project"])
    compat.provide(job)
    keywords = keyword_arguments(job)
    if reason := conditions.unmet(job, keywords):
        return {"verdict": "condition_failed", "outputs": [], "failure": None, "reason": reason}
    if is_skipped:
        return _completed([])
    namespace = block_code.execute(job["project"], block["file"], job.get("code"))
    function = _decorated_function(block, namespace)
    value = formats.settled(_call_with_upstream(function, job, keywords))
    if block["type"] == "sensor":
        return _completed([]) if value else {"verdict": "not_yet", "outputs": [], "failure": None}
    if block.get("dynamic"):
        fanout, outputs = fanouts.store(fanouts.checked(value, block["uuid"]), job["output_url"])
        given = [*value]
    else:
        fanout, outputs = None, variables.store(value, job["output_url"])
        given = [*value] if outputs[0]["container"] is not None else []
    tests = decorators.marked(namespace, "test") if job.get("run_tests", True) else []
    for test in tests:
        if failure := _failure_of(test, given, value, keywords, job["project"]):
            return _failed(failure, outputs)
    result = _completed(outputs)
    if job["upstream"]:
        result["received"] = inputs.sizes(job)
    if fanout is not None:
        result["fanout"] = fanout
    elif job.get("cache_outputs") and not tests:  # a test may have changed the value since it was written
        variables.keep(outputs, value)
    return result


def _call_back(job: Mapping[str, Any]) -> Result:
    _enter(job["project"])
    failure = callbacks.call(job)
    return _failed(failure) if failure else _completed([])


def _enter(project: str) -> None:
    try:
        block_code.enter(project)
    except OSError as error:
        raise BlockError(f"the project folder {project} cannot be entered: {error.strerror}") from error


def _check_runnable(job: Mapping[str, Any]) -> None:
    block = job["block"]
    if reason := block.get("unsupported"):
        raise BlockError(f"block {block['uuid']} cannot run: {reason}")
    if block["type"] not in RUNNABLE:
        raise BlockError(f"block {block['uuid']}: a block of type {block['type']} cannot be run by itself")
    if not block.get("file"):
        raise BlockError(f"block {block['uuid']} has no code file")
    if block.get("conditions") and "conditions" not in job:
        raise BlockError(f"block {block['uuid']} has conditions, but their code did not come with it")


def _decorated_function(block: Mapping[str, Any], namespace: Mapping[str, Any]) -> decorators.Function:
    functions = decorators.marked(namespace, block["type"])
    if len(functions) == 1:
        return functions[0]
    if functions:
        raise BlockError(f"block {block['uuid']} has {len(functions)} functions marked @{block['type']}; keep one")
    others = [mark for mark in decorators.marks(namespace) if mark in RUNNABLE]
    seen = f"; its type is {block['type']}, but {block['file']} marks one with @{others[0]}" if others else ""
    raise BlockError(f"block {block['uuid']} has no function marked @{block['type']}{seen}")


def _call_with_upstream(function: decorators.Function, job: Mapping[str, Any], keywords: Mapping[str, Any]) -> Any:
    parameters = calls.takes(function)
    upstream = inputs.entries(job)
    if (room := parameters.room) is not None and len(upstream) > room:
        # A sensor gives nothing, so a function need not take anything for it.
        upstream = [entry for entry in upstream if not inputs.gives_nothing(entry)]
        if job["block"]["type"] == "sensor":
            upstream = upstream[:room]
        if len(upstream) > room:
            raise calls.too_many(function, room, [entry["block"] for entry in upstream])
    named = calls.named_arguments(function, parameters, len(upstream), keywords)
    return calls.call(function, [inputs.received(entry) for entry in upstream], named)


def _failure_of(
    test: decorators.Function,
    several: Sequence[Any],
    value: Any,
    keywords: Mapping[str, Any],
    project: str,
) -> failures.Failure | None:
    """Call one @test function with the block's outputs (`several`, where it has more than one); return its failure."""
    try:
        parameters = calls.takes(test)
        values = [*several][: parameters.room] if several and parameters.room != 1 else [value][: parameters.room]
        calls.call(test, values, calls.named_arguments(test, parameters, len(values), keywords))
    except BaseException as error:
        failure = failures.from_exception(error, project)
        reason = failure["message"] or failures.last_line(error) or failure["type"]
        return {**failure, "message": f"test {calls.name_of(test)} failed: {reason}"}
    return None


def _completed(outputs: list[variables.Meta]) -> Result:
    return {"verdict": "completed", "outputs": outputs, "failure": None}


def _failed(failure: failures.Failure, outputs: Sequence[variables.Meta] = ()) -> Result:
    return {"verdict": "failed", "outputs": list(outputs), "failure": failure}
