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

ADMINISTRATION = [  # one page of each kind
    "/admin/",
    "/admin/runs/pipelinerun/",
    "/admin/runs/pipelinerun/{object_id}/change/",
    "/admin/runs/pipelinerun/{object_id}/history/",
    "/admin/auth/user/add/",
    "/admin/auth/group/add/",
    "/admin/runs/pool/{object_id}/change/",
    "/admin/runs/pool/{object_id}/delete/",
]


@dataclass(frozen=True)
class Lively:
    """Where it answers, an administrator's session, and every address by its name ("/runs/{run_id}/ (failed)")."""

    url: str
    session: str
    addresses: Mapping[str, str]

    def pages(self) -> dict[str, str]:
        """Every page of ours once, and one of each kind of the administration's."""
        ours = {name: at for name, at in self.addresses.items() if not name.startswith(("/api/v1", "/admin/"))}
        return {
            **{name: at for name, at in ours.items() if "?" not in name},
            **{name: self.addresses[name] for name in ADMINISTRATION},
        }

    def context(self, chromium: Browser, width: int, theme: str, height: int = 900) -> BrowserContext:
        """A window of the administrator's, in one of the two themes."""
        context = chromium.new_context(
            base_url=self.url,
            viewport={"width": width, "height": height},
            timezone_id="Europe/Berlin",
            reduced_motion="reduce",
        )
        cookies = {"sessionid": self.session, "zone": "Europe/Berlin"}
        context.add_cookies([{"name": name, "value": value, "url": self.url} for name, value in cookies.items()])
        context.add_init_script(f"localStorage.setItem('theme', '{theme}')")
        context.set_default_timeout(20_000)
        return context


@contextmanager
def serving(folder: Path, *how: str) -> Iterator[Lively]:
    """Serve it; with "poisoned", hostile words are everywhere."""
    command = [sys.executable, "-m", "tests.browser.lively", str(folder), *how]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            yield Lively(said["url"], said["session"], {name: path for path, name in said["addresses"].items()})
        finally:
            process.terminate()
            process.wait(timeout=15)
