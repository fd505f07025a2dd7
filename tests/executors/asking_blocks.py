"""Entrypoints that ask their worker: this module is the runtime of the children in test_asking.py."""

import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

DONE = {"verdict": "completed", "outputs": [], "failure": None}
Ask = Callable[[Mapping[str, Any]], dict[str, Any]]
_ask: list[Ask] = []


def ask_through(ask: Ask) -> None:
    _ask[:] = [ask]


def said(*values: Any) -> dict[str, Any]:
    return {**DONE, "outputs": list(values)}


def asks(job: dict[str, Any]) -> dict[str, Any]:
    return said(*(_ask[0](request) for request in job["requests"]))


def asks_and_keeps_a_file(job: dict[str, Any]) -> dict[str, Any]:
    file = Path(tempfile.gettempdir(), "kept")
    file.write_text("mine")
    print("before", flush=True)
    answer = _ask[0]({"what": "later"})
    print("after", flush=True)
    return said(answer, file.read_text())


def asks_from_threads(job: dict[str, Any]) -> dict[str, Any]:
    answers: dict[int, Any] = {}

    def ask(number: int) -> None:
        answers[number] = _ask[0]({"number": number})["value"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(job["count"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said(answers == {number: number for number in range(job["count"])})


def leaves_a_thread_that_asks(job: dict[str, Any]) -> dict[str, Any]:
    threading.Thread(target=_ask[0], args=({"what": "never"},), daemon=True).start()
    time.sleep(0.1)
    return DONE


def asks_what_cannot_be_asked(job: dict[str, Any]) -> dict[str, Any]:
    found = []
    for request in ({"text": "x" * 2_000_000}, {"set": {1}}, {"fine": 1}):
        try:
            found.append(_ask[0](request))
        except RuntimeError as error:
            found.append(str(error))
    return said(*found)


def asks_from_another_process(job: dict[str, Any]) -> dict[str, Any]:
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return said(pool.apply(try_to_ask))


def try_to_ask() -> str:
    try:
        _ask[0]({})
    except RuntimeError as error:
        return str(error)
    return "asked"
