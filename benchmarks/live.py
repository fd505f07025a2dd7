"""The L figures: how soon open pages hear of what happens, many of them, and beside a flood."""

import asyncio
import contextlib
import json
import re
import time
import urllib.parse
import urllib.request
from functools import partial
from http.cookiejar import CookieJar
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.figures import Row, when
from benchmarks.open_pages import l3, l5, l6, limit, ms, open_pages
from benchmarks.tree import Tree

SILENCE = 0.5  # seconds after which nothing more is expected of a run that is over


class Browser:
    """Signed in as people are: what it takes to fetch pages and open their sockets."""

    def __init__(self, tree: Tree) -> None:
        self.tree, self.jar = tree, CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.jar))
        password = re.search(r"password (\S+)", (tree.folder / "start.log").read_text())
        assert password is not None
        token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', self.get("/login/"))
        assert token is not None
        form = {"username": "admin", "password": password[1], "csrfmiddlewaretoken": token[1]}
        self.opener.open(f"{tree.url}/login/", urllib.parse.urlencode(form).encode(), timeout=30).close()
        self.cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.jar)

    def get(self, path: str, **headers: str) -> str:
        request = urllib.request.Request(f"{self.tree.url}{path}", headers=headers)
        with self.opener.open(request, timeout=60) as answer:
            return str(answer.read().decode())

    def socket(self, path: str) -> Any:
        headers = {"Cookie": self.cookie}
        url = f"ws://127.0.0.1:{self.tree.port}{path}"
        return connect(url, origin=self.tree.url, additional_headers=headers, max_size=None, compression=None)


async def messages(socket: ClientConnection, seconds: float) -> Any:
    """Yield what comes, with when it came, until there is silence."""
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(seconds):
                text = await socket.recv()
            yield time.time(), json.loads(text)


class Ear:
    """Notes when each message of a socket came, whatever else is being waited for."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[tuple[float, dict[str, Any]]] = []
        self.task = asyncio.create_task(self.hear())

    async def hear(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in self.socket:
                self.heard.append((time.time(), json.loads(text)))

    def last_of(self, run_id: int) -> float:
        return max((came for came, message in self.heard if message["run"] == run_id), default=0.0)


def block_of(tree: Tree, run_id: int) -> int:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for block in tree.call("GET", f"/api/v1/block_runs?pipeline_run_id={run_id}")["results"]:
            return int(block["id"])
    raise TimeoutError(f"run {run_id} has no block")


# --- one page ---------------------------------------------------------------------------------------------------------


def l1(tree: Tree) -> list[Row]:
    browser = Browser(tree)
    run_id, _ = tree.trigger("ticks")
    late = asyncio.run(lateness_of_lines(browser, block_of(tree, run_id)))
    tree.finished(run_id)
    return [
        (
            "L1 line printed → at the page, p50 / p95 / max, ms",
            ms(late),
            "300" if tree.database == "postgres" else "500",
        )
    ]


async def lateness_of_lines(browser: Browser, block_run_id: int) -> list[float]:
    late = []
    async with browser.socket(f"/ws/block_runs/{block_run_id}/logs/?format=html") as socket:
        connected = time.time()
        async for came, message in messages(socket, 10):
            for said in re.findall(r">(\d+\.\d+)</bdi>", message.get("html", "")):
                if float(said) > connected:
                    late.append(came - float(said))
            if message["type"] == "end":
                break
    return late


def l2(tree: Tree) -> list[Row]:
    browser = Browser(tree)
    heard, shown = asyncio.run(lateness_of_states(tree, browser))
    return [
        ("L2 run completed → message at a program, p50 / p95 / max, ms", ms(heard), limit(tree)),
        ("L2 … → the list of runs fetched again, and says so, ms", ms(shown), limit(tree)),
    ]


async def lateness_of_states(tree: Tree, browser: Browser) -> tuple[list[float], list[float]]:
    heard, shown = [], []
    async with (
        browser.socket("/ws/events/") as socket,
        open_pages(browser, [("/ws/pages/", "/runs/")], look=True) as (page,),
    ):
        ear = Ear(socket)
        for _ in range(20):
            run, _ = await asyncio.to_thread(tree.run, "single")
            ended = when(run["completed_at"])
            shown.append(await page.said(partial(lists_completed, run["id"])) - ended)
            await asyncio.sleep(SILENCE)
            heard.append(ear.last_of(run["id"]) - ended)
    return heard, shown


def lists_completed(run_id: int, html: str) -> bool:
    """Tell whether a list of runs says that the run is completed."""
    return "completed" in html.partition(f'id="run-{run_id}"')[2].partition("</tr>")[0]


# --- many pages, and a flood ------------------------------------------------------------------------------------------


def l4(tree: Tree) -> list[Row]:
    browser = Browser(tree)
    run_id, _ = tree.trigger("flood")
    block = block_of(tree, run_id)
    seen, said, pages = asyncio.run(watch_flood(browser, block))
    tree.finished(run_id)
    text = browser.get(f"/runs/{run_id}/blocks/{block}/log/1.log")
    written = sum(1 for line in text.splitlines() if "of a flood" in line)
    took = re.search(r"took ([\d.]+)", text)
    assert took is not None
    return [
        ("L4 a flood of 50,000 lines/s for 10 s: the block took, s", f"{float(took[1]):.1f}", "–"),
        ("L4 lines in the file, of 500,000", f"{written:,}", "500,000"),
        ("L4 lines sent to a page that follows; times it was told of what is left out", f"{seen:,}; {said}", "–"),
        ("L4 another page meanwhile, p50 / p95 / max, ms", ms(pages), "200"),
    ]


async def watch_flood(browser: Browser, block_run_id: int) -> tuple[int, int, list[float]]:
    seen = said = 0
    pages: list[float] = []
    over = asyncio.Event()

    async def look_elsewhere() -> None:
        while not over.is_set():
            began = time.monotonic()
            await asyncio.to_thread(browser.get, "/pipelines/")
            pages.append(time.monotonic() - began)
            await asyncio.sleep(0.2)

    elsewhere = asyncio.create_task(look_elsewhere())
    async with browser.socket(f"/ws/block_runs/{block_run_id}/logs/?format=html") as socket:
        async for _, message in messages(socket, 30):
            html = message.get("html", "")
            seen += html.count("of a flood")
            said += "came too fast" in html
            if message["type"] == "end":
                break
    over.set()
    await elsewhere
    return seen, said, pages


LIVE = {
    "L1": l1,
    "L2": l2,
    "L3": lambda tree: l3(tree, Browser(tree)),
    "L4": l4,
    "L5": lambda tree: l5(tree, Browser(tree)),
    "L6": lambda tree: l6(tree, Browser(tree)),
}
