"""What the processes of `benchmarks.pages` do, with our own settings: `python -m benchmarks.pages_process WHAT`."""

import contextlib
import gc
import gzip
import json
import os
import re
import statistics
import sys
import time
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urljoin

import django
import psutil

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator_site.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from benchmarks import crowd  # noqa: E402
from benchmarks.addresses import Address, Places, addresses  # noqa: E402
from orchestrator_site import idle_memory  # noqa: E402
from schedules.scheduler import Loop  # noqa: E402

TIMES, PATIENCE = 20, 5.0  # requests; a page that takes longer than this is asked three times
ANSWERS = (200, 302)
NO_ANSWERS = (403, 405)  # it is for other users or other methods


def client() -> Client:
    user, _ = User.objects.get_or_create(username="bench", is_superuser=True, is_staff=True)
    found = Client(SERVER_NAME="localhost", raise_request_exception=False)
    found.force_login(user)
    return found


def settle() -> None:
    crowd.settle(crowd.SMALL, Path(settings.PROJECT_DIR), timezone.now())


def time_pages(only: str = "") -> list[dict[str, Any]]:
    idle_memory.put_aside()
    browser, found = client(), []
    for each in addresses(Places()):
        if only in each.name:
            found.append(time_page(browser, each))
        if idle_memory.is_due():  # as the web server does between requests
            gc.collect()
    return [each for each in found if each]


def time_page(browser: Client, address: Address) -> dict[str, Any]:
    with CaptureQueriesContext(connection) as asked:
        answer, first = timed(browser, address.path)
        queries = len(asked)
    if answer.status_code in NO_ANSWERS:
        return {}
    note = "" if answer.status_code in ANSWERS else f", answered {answer.status_code}"
    times = 0 if note else 3 if first > PATIENCE else TIMES
    before = worked()
    took = sorted(timed(browser, address.path)[1] for _ in range(times)) or [first]
    return {
        "name": address.name,
        "median": 1000 * statistics.median(took),
        "p95": 1000 * took[min(len(took) - 1, int(0.95 * len(took)))],
        "work": 1000 * (worked() - before) / max(times, 1),
        "queries": queries,
        "bytes": len(answer.content),
        "note": note,
    }


def worked() -> float:
    """Seconds that this process and, where it is on this machine, its Postgres backend have computed so far."""
    return time.process_time() + sum(map(computed, backends()))


def backends() -> list[psutil.Process]:
    if connection.vendor != "postgresql":
        return []
    connection.ensure_connection()
    with contextlib.suppress(psutil.NoSuchProcess):
        return [psutil.Process(connection.connection.info.backend_pid)]
    return []


def computed(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def timed(browser: Client, path: str) -> tuple[Any, float]:
    began = time.perf_counter()
    answer = browser.get(path)
    return answer, time.perf_counter() - began


LINKED = re.compile(r"""<(?:script|link|img|use)\b[^>]*?\s(?:src|href)=["'](/static/[^"'#]+)""")
IMPORTED = re.compile(r"""(?:import|from)\s*\(?\s*["'](\.{1,2}/[^"']+)["']""")


def weigh_first_load() -> dict[str, int]:
    """The zipped bytes of the dashboard and of everything that it loads, by kind."""
    browser = client()
    page = browser.get("/")
    sizes = {"html": len(gzip.compress(page.content))}
    waiting, seen = LINKED.findall(page.content.decode()), set()
    while waiting:
        address = waiting.pop()
        if address in seen:
            continue
        seen.add(address)
        answer = browser.get(address, headers={"Accept-Encoding": "gzip"})
        kind = address.rpartition(".")[2]
        sizes[kind] = sizes.get(kind, 0) + len(answer.content)
        if kind == "js":
            plain = browser.get(address).content.decode()
            waiting += [urljoin(address, each) for each in IMPORTED.findall(plain)]
    return sizes


ROUNDS = 5
LEFT_OUT = ("turn", "ping")  # retention, which has a year of work here, and the heartbeat, which asks another host


def time_duties() -> list[dict[str, Any]]:
    """What each duty of a scheduler's loop costs when it was done a moment ago. Nothing of it is kept."""
    with transaction.atomic():
        found = [time_duty(duty) for duty in Loop(Event()).duties if duty.call.__name__ not in LEFT_OUT]
        transaction.set_rollback(True)
    return found


def time_duty(duty: Any) -> dict[str, Any]:
    moment = timezone.now()
    duty.call(moment)  # what has piled up
    before, took = worked(), []
    with CaptureQueriesContext(connection) as asked:
        for number in range(1, ROUNDS + 1):
            began = time.perf_counter()
            duty.call(moment + duty.every * number)
            took.append(time.perf_counter() - began)
    return {
        "name": f"{duty.call.__module__.rpartition('.')[2]}.{duty.call.__name__}",
        "every": duty.every.total_seconds(),
        "median": 1000 * statistics.median(took),
        "work": 1000 * (worked() - before) / ROUNDS,
        "queries": len(asked) / ROUNDS,
    }


def main(words: list[str]) -> None:
    if words[0] == "settle":
        settle()
    else:
        call_command("migrate", verbosity=0)  # the crowd may be of yesterday
    what = {"time_pages": time_pages, "weigh_first_load": weigh_first_load, "time_duties": time_duties}
    print(json.dumps(what[words[-1]]()))


if __name__ == "__main__":
    main(sys.argv[1:])
