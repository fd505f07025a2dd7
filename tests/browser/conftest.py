"""Chromium against the whole product: web server, scheduler and workers of a project made for it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests import migrated
from tests.pipelines.project_on_disk import ProjectOnDisk

ROOT = Path(__file__).resolve().parents[2]
# An answer of 4xx, which the page shows; a request that a newer one took the place of.
EXPECTED = ("status of 4", "htmx:sendAbort", "htmx:afterRequest")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

COUNT = """
import os, sys, time

@custom
def run(*args, **kwargs):
    print('\\x1b[32mgreen\\x1b[0m and plain')
    print('<script>alert("log")</script>\\x1b]8;;https://evil.example\\x07link\\x1b]8;;\\x07')
    print('to stderr', file=sys.stderr)
    kwargs['logger'].warning('careful')
    kwargs['logger'].error('bad')
    for number in range(int(kwargs.get('lines', 20))):
        print(f'line {number}', flush=True)
        while number in kwargs.get('waits_at', []) and not os.path.exists(f"{kwargs['gates']}/{number}"):
            time.sleep(0.02)
    return [{'city': '<b>Köln</b>', 'n': 1}, {'city': None, 'n': 2}]
"""
FAIL = """
@custom
def run(*args, **kwargs):
    raise ValueError('<img src=x onerror=alert(1)> no rows')
"""
SLEEP = """
import time

@custom
def run(*args, **kwargs):
    print('asleep', flush=True)
    time.sleep(120)
"""


GREET = """
@custom
def run(*args, **kwargs):
    for _ in range(kwargs['times']):
        print(f"good morning, {kwargs['whom']}")
"""


@dataclass(frozen=True)
class Site:
    url: str
    password: str
    project: Path
    pid: int  # of the supervisor


class Gates:
    """Files that a run of `talk` waits for in the midst of its log, however slow the machine is."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.closed = folder, list[int]()

    def at(self, *lines: int, of: int = 20) -> str:
        """The variables of a run that waits after each of these lines."""
        self.closed += lines
        return json.dumps({"lines": of, "waits_at": lines, "gates": str(self.folder)})

    def open(self) -> None:
        """Let it go on to the next."""
        (self.folder / str(self.closed.pop(0))).touch()


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    project = ProjectOnDisk(folder / "project")
    for name, code in {"count": COUNT, "fail": FAIL, "sleep": SLEEP, "greet": GREET}.items():
        project.write(f"custom/{name}.py", code)
    project.code("custom/after.py")
    project.pipeline(
        """
        blocks:
        - {uuid: count, type: custom, downstream_blocks: [after]}
        - {uuid: after, type: custom, upstream_blocks: [count]}
        """,
        "talk",
    )
    project.pipeline("blocks:\n- {uuid: fail, type: custom}\n", "fails")
    project.pipeline("blocks:\n- {uuid: sleep, type: custom}\n", "sleeps")
    project.pipeline("variables: {whom: world, times: 2}\nblocks:\n- {uuid: greet, type: custom}\n", "greets")
    project.pipeline("blocks:\n- {uuid: a, type: custom, upstream_blocks: [b]}\n", "broken")
    far = (datetime.now(UTC).month + 5) % 12 + 1  # half a year away: no plan for the next weeks has anything of it
    project.write(
        "pipelines/talk/triggers.yaml",
        f"triggers:\n- {{name: yearly, schedule_type: time, schedule_interval: '0 0 1 {far} *', status: active}}\n",
    )
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "orchestrator_site.settings"}
    for name in ("DATABASE_URL", "REDIS_URL", "ORCHESTRATOR_PROJECT"):
        env.pop(name, None)
    migrated.copy_sqlite(folder / "data" / "orchestrator.sqlite3")
    env |= {"ORCHESTRATOR_DATA_DIR": str(folder / "data"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "manage.py", "start", str(project.root), "--port", "0", "--workers", "2"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield answering(process, project.root)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=15)


def answering(process: "subprocess.Popen[str]", project: Path) -> Site:
    """Read what `start` prints until it is ready."""
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if ready := re.search(r"Ready: (http://\S+?)/ ", line):
            password = re.search(r"password (\S+)", said)
            assert password, said
            return Site(ready[1], password[1], project, process.pid)
    raise AssertionError(f"the server ended:\n{said}")


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed here")
    expect.set_options(timeout=20_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def session(chromium: Browser, site: Site) -> dict[str, object]:
    """The cookies of who has logged in."""
    page = chromium.new_page(base_url=site.url, timezone_id="UTC")
    tell_zone(page.context, site, "UTC")
    page.goto("/login/")
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", site.password)
    page.click("button[type=submit]")
    page.wait_for_url("/")
    state = page.context.storage_state()
    page.close()
    return dict(state)


@pytest.fixture
def context(chromium: Browser, site: Site, session: dict[str, object]) -> Iterator[BrowserContext]:
    context = chromium.new_context(
        base_url=site.url,
        storage_state=session,  # type: ignore[arg-type]
        timezone_id="Asia/Tokyo",
        viewport={"width": 1440, "height": 900},
    )
    tell_zone(context, site, "Asia/Tokyo")
    context.set_default_timeout(20_000)
    yield context
    context.close()


def tell_zone(context: BrowserContext, site: Site, zone: str) -> None:
    """As if this browser had been here before: the first page of one that was not is asked for twice."""
    context.add_cookies([{"name": "zone", "value": zone, "url": site.url}])


def is_complaint(message: ConsoleMessage) -> bool:
    """Say whether the console tells of a fault."""
    return message.type == "error" and not any(words in message.text for words in EXPECTED)


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that may not complain: no error in the console, no refusal by the policy, no dialog."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    yield page
    assert complaints == []


@pytest.fixture
def gates(tmp_path: Path) -> Iterator[Gates]:
    gates = Gates(tmp_path)
    yield gates
    while gates.closed:  # no run of a test that failed may keep a worker
        gates.open()


@pytest.fixture
def chromium_page(chromium: Browser, site: Site) -> Iterator[Page]:
    """A page of nobody yet."""
    context = chromium.new_context(base_url=site.url, timezone_id="UTC")
    tell_zone(context, site, "UTC")
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()
