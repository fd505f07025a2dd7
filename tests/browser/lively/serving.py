"""Start the server of the lively history beside this process, and end it."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Lively:
    """Where it answers, an administrator's session, and every address by its name ("/runs/{run_id}/ (failed)")."""

    url: str
    session: str
    addresses: Mapping[str, str]

    def context(self, chromium: Browser, width: int, theme: str, height: int = 900) -> BrowserContext:
        """A window of the administrator's, in one of the two themes."""
        context = chromium.new_context(
            base_url=self.url,
            viewport={"width": width, "height": height},
            timezone_id="Europe/Berlin",
            reduced_motion="reduce",
        )
        context.add_cookies([{"name": "sessionid", "value": self.session, "url": self.url}])
        context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
        context.set_default_timeout(20_000)
        return context


@contextmanager
def serving(folder: Path) -> Iterator[Lively]:
    command = [sys.executable, "-m", "tests.browser.lively", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            yield Lively(said["url"], said["session"], {name: path for path, name in said["addresses"].items()})
        finally:
            process.terminate()
            process.wait(timeout=15)
