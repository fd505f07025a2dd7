"""The L figures of many pages that are open at once: told of a change, looking again, and in a storm of changes.

Changes are rings of a process of its own, as workers ring them, of runs that are there: what is measured is the way
from there to the page, without the work that a run is.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from benchmarks.figures import Row, quantile, used, when
from benchmarks.tree import ROOT, Tree

PAGES, CROWD = 200, 20
STORM, RATE = 15, 50  # seconds; changes per second
LOOK = {"HX-Request": "true", "HX-Target": "live"}
RING = """
import sys, time, django
django.setup()
from runs import bell
for line in sys.stdin:
    seconds, rate = map(float, line.split())
    began = time.time()
    print(began, flush=True)
    for number in range(max(1, int(seconds * rate))):
        bell.ring("live", f"run {number % 3 + 1}")
        time.sleep(max(0, began + (number + 1) / rate - time.time()))
"""


class OpenPage:
    """A page as live.js keeps it: looks again when it is told to, if it is one that looks."""

    def __init__(self, browser: Any, socket: ClientConnection, path: str, threads: ThreadPoolExecutor | None) -> None:
        self.browser, self.socket, self.path, self.threads = browser, socket, path, threads
        self.told: list[float] = []
        self.looks: list[tuple[float, float, str]] = []  # asked, came, what it says
        self.coming: set[asyncio.Task[None]] = set()
        self.task = asyncio.create_task(self.live())

    async def live(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self.socket:
                self.told.append(time.time())
                if self.threads is not None:
                    look = asyncio.create_task(self.look(json.loads(text)["wait"] / 1000))
                    self.coming.add(look)
                    look.add_done_callback(self.coming.discard)

    async def look(self, wait: float) -> None:
        await asyncio.sleep(wait)
        asked = time.time()
        loop = asyncio.get_running_loop()
        html = await loop.run_in_executor(self.threads, lambda: self.browser.get(self.path, **LOOK))
        self.looks.append((asked, time.time(), html))

    async def said(self, check: Callable[[str], bool]) -> float:
        """Return when what the page fetched first said so; wait for it."""
        async with asyncio.timeout(60):
            while True:
                for _, came, html in self.looks:
                    if check(html):
                        return came
                await asyncio.sleep(0.02)

    def told_after(self, moment: float) -> float:
        return next((came for came in self.told if came >= moment), float("inf"))

    def seen_after(self, moment: float) -> float:
        """When the first look came that was asked for after the moment."""
        return next((came for asked, came, _ in self.looks if asked >= moment), float("inf"))


@contextlib.asynccontextmanager
async def open_pages(browser: Any, paths: list[tuple[str, str]], *, look: bool) -> AsyncIterator[list[OpenPage]]:
    """Open pages, each given as the path of its socket and its own."""
    with ThreadPoolExecutor(50) as threads:
        async with contextlib.AsyncExitStack() as stack:
            pages = []
            for socket, path in paths:
                opened = await stack.enter_async_context(browser.socket(socket))
                pages.append(OpenPage(browser, opened, path, threads if look else None))
            yield pages


class Ringer:
    """A process that rings: `ring()` once, `ring(15, 50)` fifty times a second for fifteen seconds."""

    def __init__(self, tree: Tree) -> None:
        env = tree.env | {"DJANGO_SETTINGS_MODULE": "orchestrator_site.settings"}
        command = [sys.executable, "-c", RING]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ring(self, seconds: float = 0, rate: float = 1000) -> float:
        """Return when it began."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{seconds} {rate}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def __enter__(self) -> "Ringer":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate(timeout=20)


def ms(values: list[float]) -> str:
    p50, p95, most = quantile(values, 0.5), quantile(values, 0.95), max(values)
    return f"{p50 * 1000:.0f} / {p95 * 1000:.0f} / {most * 1000:.0f} (of {len(values)})"


def limit(tree: Tree) -> str:
    return "300" if tree.database == "postgres" else "1000"


def web_process(tree: Tree) -> psutil.Process:
    return next(each for each in tree.processes() if any("web_server" in word for word in each.cmdline()))


@contextlib.asynccontextmanager
async def looking_elsewhere(browser: Any) -> AsyncIterator[list[float]]:
    """Ask for another page again and again meanwhile; yield how long each took."""
    took: list[float] = []

    async def look() -> None:
        while True:
            began = time.monotonic()
            await asyncio.to_thread(browser.get, "/pipelines/")
            took.append(time.monotonic() - began)
            await asyncio.sleep(0.2)

    task = asyncio.create_task(look())
    yield took
    task.cancel()


# --- two hundred pages ------------------------------------------------------------------------------------------------


def l3(tree: Tree, browser: Any) -> list[Row]:
    """200 pages, of a run each: what their runs do is told to them, and they look."""
    seen = asyncio.run(pages_of_runs(tree, browser))
    return [(f"L3 {PAGES} pages open, of a run each: completed → its page fetched, ms", ms(seen), limit(tree))]


async def pages_of_runs(tree: Tree, browser: Any) -> list[float]:
    seen: list[float] = []
    others = [("/ws/pages/?run=1", "/runs/1/")] * (PAGES - 2)
    async with open_pages(browser, others, look=False):
        for _ in range(5):
            ids = [(await asyncio.to_thread(tree.trigger, "ticks"))[0] for _ in range(2)]
            paths = [(f"/ws/pages/?run={run_id}", f"/runs/{run_id}/") for run_id in ids]
            async with open_pages(browser, paths, look=True) as pages:
                for run_id, page in zip(ids, pages, strict=True):
                    ended = when((await asyncio.to_thread(tree.finished, run_id))["completed_at"])
                    seen.append(await page.said(says_completed) - ended)
    return seen


def says_completed(html: str) -> bool:
    """Tell whether the head of a run's page says that it is completed."""
    return "completed" in html.partition('class="head"')[2].partition("</h1>")[2][:200]


def l5(tree: Tree, browser: Any) -> list[Row]:
    """200 lists that all look at the same change."""
    web = web_process(tree)
    told, seen, elsewhere, cpu = asyncio.run(all_look(tree, browser, web))
    return [
        (f"L5 a change → message at {PAGES} lists, p50 / p95 / max, ms", ms(told), limit(tree)),
        (f"L5 … → every one of the {PAGES} fetched again, ms", ms(seen), "–"),
        ("L5 another page meanwhile, p50 / p95 / max, ms", ms(elsewhere), "–"),
        (
            "L5 CPU of the web process meanwhile, s; its memory, MB",
            f"{cpu:.1f}; {web.memory_info().rss / 1e6:.0f}",
            "–",
        ),
    ]


async def all_look(
    tree: Tree, browser: Any, web: psutil.Process
) -> tuple[list[float], list[float], list[float], float]:
    async with open_pages(browser, [("/ws/pages/", "/runs/")] * PAGES, look=True) as pages:
        await looked(pages, 0.0)  # as each does once when it opens
        await asyncio.sleep(1)
        with Ringer(tree) as ringer:
            before = used(web)
            async with looking_elsewhere(browser) as elsewhere:
                rung = await asyncio.to_thread(ringer.ring)
                await looked(pages, rung)
    told = [page.told_after(rung) - rung for page in pages]
    return told, [page.seen_after(rung) - rung for page in pages], elsewhere, used(web) - before


async def looked(pages: list[OpenPage], moment: float) -> None:
    async with asyncio.timeout(120):
        while any(page.seen_after(moment) == float("inf") for page in pages):
            await asyncio.sleep(0.1)


# --- a storm ----------------------------------------------------------------------------------------------------------


def l6(tree: Tree, browser: Any) -> list[Row]:
    return [row for many in (1, CROWD) for row in storm(tree, browser, many)]


def storm(tree: Tree, browser: Any, many: int) -> list[Row]:
    web = web_process(tree)
    looks, elsewhere, cpu, late = asyncio.run(in_a_storm(tree, browser, web, many))
    what = f"L6 {RATE} changes a second, {many} list{'s'[: many > 1]} open"
    return [
        (f"{what}: looks a second; web process, of a core", f"{looks:.1f}; {100 * cpu:.0f} %", "–"),
        ("L6 … the last change → every page fetched again, ms", ms(late), "–"),
        ("L6 … another page meanwhile, p50 / p95 / max, ms", ms(elsewhere), "–"),
    ]


async def in_a_storm(
    tree: Tree, browser: Any, web: psutil.Process, many: int
) -> tuple[float, list[float], float, list[float]]:
    async with open_pages(browser, [("/ws/pages/", "/runs/")] * many, look=True) as pages:
        await looked(pages, 0.0)
        with Ringer(tree) as ringer:
            async with looking_elsewhere(browser) as elsewhere:
                began = await asyncio.to_thread(ringer.ring, STORM, RATE)
                before, looks = used(web), sum(len(page.looks) for page in pages)
                end = began + STORM - 1 / RATE  # when the last is rung
                await asyncio.sleep(end - time.time())
                cpu, looks = used(web) - before, sum(len(page.looks) for page in pages) - looks
                await looked(pages, end)
    return looks / STORM, elsewhere, cpu / STORM, [page.seen_after(end) - end for page in pages]
