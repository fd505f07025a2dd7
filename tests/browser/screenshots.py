"""Every page as a picture: `python -m tests.browser.screenshots [FOLDER [WORD…]]` (`make screenshots`).

Makes its own data, serves it, and writes PAGE-WIDTH-THEME.png into docs/screenshots/, or into FOLDER, only the pages
whose names have one of the words.
"""

import io
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.browser.conftest import CHROMIUM
from tests.browser.lively.serving import ROOT, Lively, serving
from tests.browser.pictures import PAGES, STEPS

FOLDER = ROOT / "docs" / "screenshots"
SIZES = {1440: 900, 390: 844}
THEMES = ("light", "dark")
COLORS = 28
SHOW_IN = "theme => { const { dataset } = document.documentElement; dataset.theme = dataset.bsTheme = theme; }"
ERRORS = ("400", "403_csrf", "500")


def main(words: Sequence[str]) -> None:
    folder = Path(words[0]) if words else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, serving(Path(data)) as lively, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        chosen = {name: at for name, at in PAGES.items() if not words[1:] or any(word in name for word in words[1:])}
        shoot(chromium, lively, chosen, folder)
        chromium.close()
    (folder / "README.md").write_text(index(chosen))


def index(names: Iterable[str]) -> str:
    """Which pictures there are, as a page of Markdown."""
    heads = [f"{theme}, {width} px" for width in SIZES for theme in THEMES]
    lines = ["# Screenshots", "", "Made by `make screenshots` from the demo project after five lively days.", ""]
    lines += ["| Page | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for name in names:
        shown = [f"[{theme}]({name}-{width}-{theme}.png)" for width in SIZES for theme in THEMES]
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def shoot(chromium: Browser, lively: Lively, chosen: Mapping[str, str], folder: Path) -> None:
    context = lively.context(chromium, max(SIZES), "light")
    page = context.new_page()
    serve_errors(page)
    for name, address in chosen.items():
        if name == "login":
            context.clear_cookies(name="sessionid")
        size_of(page, max(SIZES))
        page.goto(lively.addresses.get(address, address))
        settle(page)
        if name in STEPS:
            STEPS[name](page)
            settle(page)
        take(page, name, folder)
        if name == "login":
            context.add_cookies([{"name": "sessionid", "value": lively.session, "url": lively.url}])
    context.close()


def take(page: Page, name: str, folder: Path) -> None:
    """Look at a page that is there in every size and theme, without asking for it again."""
    for width in SIZES:
        size_of(page, width)
        for theme in THEMES:
            page.evaluate(SHOW_IN, theme)
            (folder / f"{name}-{width}-{theme}.png").write_bytes(quantized(page.screenshot()))


def size_of(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": SIZES[width]})


def serve_errors(page: Page) -> None:
    """Pages for when nothing else can be shown: there is no address that always fails."""
    for name in ERRORS:
        body = re.sub(r"{% static '([^']+)' %}", r"/static/\1", (ROOT / "templates" / f"{name}.html").read_text())
        page.route(f"**/{name}/", partial(fulfil, body.replace("{% load static %}", "")))


def fulfil(body: str, route: Route) -> None:
    route.fulfill(body=body, content_type="text/html")


def settle(page: Page) -> None:
    """Until nothing is loaded any more: previews, logs, fonts."""
    page.wait_for_load_state("networkidle")


def quantized(picture: bytes) -> bytes:
    image = (
        Image.open(io.BytesIO(picture))
        .convert("RGB")
        .quantize(COLORS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    found = io.BytesIO()
    image.save(found, "PNG", optimize=True)
    return found.getvalue()


if __name__ == "__main__":
    main(sys.argv[1:])
