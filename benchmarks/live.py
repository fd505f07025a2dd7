"""The L figures: how soon open pages hear of what happens, many of them, and beside a flood."""

import asyncio
import contextlib
import json
import re
import time
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from typing import Any

import psutil
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.figures import Row, quantile, when
from benchmarks.tree import Tree

SETTLE = 0.03  # seconds that a page waits for more before it looks
PAGES = 200


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


def block_of(tree: Tree, run_id: int) -> int:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for block in tree.call("GET", f"/api/v1/block_runs?pipeline_run_id={run_id}")["results"]:
            return int(block["id"])
    raise TimeoutError(f"run {run_id} has no block")


def ms(values: list[float]) -> str:
    p50, p95, most = quantile(values, 0.5), quantile(values, 0.95), max(values)
    return f"{p50 * 1000:.0f} / {p95 * 1000:.0f} / {most * 1000:.0f} (of {len(values)})"


def soon(tree: Tree) -> tuple[str, str]:
    """Return the limits: of a line and of a state."""
    return ("300", "300") if tree.database == "postgres" else ("500", "1000")


# --- one page ---------------------------------------------------------------------------------------------------------


def l1(tree: Tree) -> list[Row]:
    browser = Browser(tree)
    run_id, _ = tree.trigger("ticks")
    late = asyncio.run(lateness_of_lines(browser, block_of(tree, run_id)))
    tree.finished(run_id)
    return [("L1 line printed → at the page, p50 / p95 / max, ms", ms(late), soon(tree)[0])]


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
    limit = soon(tree)[1]
    return [
        ("L2 run completed → message at an open page, p50 / p95 / max, ms", ms(heard), limit),
        ("L2 … → the page fetched again, ms", ms(shown), limit),
    ]


async def lateness_of_states(tree: Tree, browser: Browser) -> tuple[list[float], list[float]]:
    heard, shown = [], []
    async with browser.socket("/ws/events/") as socket:
        for _ in range(20):
            run, _ = await asyncio.to_thread(tree.run, "single")
            last = 0.0
            async for came, message in messages(socket, 0.4):
                if message["run"] == run["id"]:
                    last = came
            heard.append(last - when(run["completed_at"]))
            began = time.time()
            await asyncio.to_thread(browser.get, f"/runs/{run['id']}/", **{"HX-Request": "true", "HX-Target": "live"})
            shown.append(heard[-1] + SETTLE + time.time() - began)
    return heard, shown


# --- many pages, and a flood ------------------------------------------------------------------------------------------


def l3(tree: Tree) -> list[Row]:
    browser = Browser(tree)
    web = web_process(tree)
    heard, shown, opened = asyncio.run(many_pages(tree, browser))
    limit = soon(tree)[1]
    return [
        (f"L3 {PAGES} pages open, of a run each: opened in, s", f"{opened:.1f}", "–"),
        ("L3 run completed → message at every page, p50 / p95 / max, ms", ms(heard), limit),
        ("L3 … → the page of the run that changed fetched again, ms", ms(shown), limit),
        ("L3 memory of the web process, RSS, MB", f"{web.memory_info().rss / 1e6:.0f}", "–"),
    ]


def web_process(tree: Tree) -> psutil.Process:
    return next(each for each in tree.processes() if any("web_server" in word for word in each.cmdline()))


async def many_pages(tree: Tree, browser: Browser) -> tuple[list[float], list[float], float]:
    """Open 200 pages, and have ten runs run: each page hears of all, one looks again for each run."""
    heard: list[float] = []
    shown: list[float] = []
    async with contextlib.AsyncExitStack() as stack:
        began = time.monotonic()
        sockets = [await stack.enter_async_context(browser.socket("/ws/events/")) for _ in range(PAGES)]
        opened = time.monotonic() - began
        for _ in range(10):
            run, _ = await asyncio.to_thread(tree.run, "single")
            lasts = await asyncio.gather(*(last_of(socket, run["id"]) for socket in sockets))
            heard += [last - when(run["completed_at"]) for last in lasts]
            began = time.time()
            await asyncio.to_thread(browser.get, f"/runs/{run['id']}/", **{"HX-Request": "true", "HX-Target": "live"})
            shown.append(max(heard[-PAGES:]) + SETTLE + time.time() - began)
    return heard, shown, opened


async def last_of(socket: ClientConnection, run_id: int) -> float:
    last = 0.0
    async for came, message in messages(socket, 0.7):
        if message["run"] == run_id:
            last = came
    return last


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


LIVE = {"L1": l1, "L2": l2, "L3": l3, "L4": l4}
