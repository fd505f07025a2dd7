"""Every page in the eyes of axe-core: in light and dark, on a desk and on a telephone."""

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page

from tests.browser.lively.serving import Lively, serving

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.timeout(400)]

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
# Left out: what Django's administration and Swagger UI themselves draw.
LOOK = """async (rules) => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("* { transition: none !important; }"); // a color on its way is none that stays
  document.adoptedStyleSheets = [sheet];
  const how = { resultTypes: ["violations"], preload: false, ...rules };
  const found = await axe.run({ exclude: [".help-tooltip", "#swagger-ui"] }, how);
  return found.violations
    .filter((each) => ["serious", "critical"].includes(each.impact))
    .flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 200)} ${node.any[0]?.message ?? ""}`));
}"""
ONLY_CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
NO_CONTRAST = {"rules": {"color-contrast": {"enabled": False}}}
WIDE = """() => {
  const root = document.documentElement;
  return root.scrollWidth <= innerWidth ? [] : [`wider than the window: ${root.scrollWidth} of ${innerWidth}`];
}"""


@pytest.fixture(scope="module")
def lively(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lively]:
    with serving(tmp_path_factory.mktemp("lively")) as found:
        yield found


@pytest.fixture
def window(chromium: Browser, lively: Lively) -> Iterator[Page]:
    context = lively.context(chromium, 1440, "light")
    yield context.new_page()
    context.close()


def faults(page: Page, address: str) -> dict[str, list[str]]:
    """What is wrong with a page, by where it is looked at; nothing of what is no page."""
    page.set_viewport_size({"width": 1440, "height": 900})
    try:
        answer = page.goto(address)
    except Error:  # there is only an answer to POST
        return {}
    if answer is None or answer.status != 200 or "html" not in answer.headers.get("content-type", ""):
        return {}
    page.evaluate(AXE)
    found: dict[str, Any] = {"light": page.evaluate(LOOK, {}) + page.evaluate(WIDE) + one_heading(page)}
    page.evaluate("document.documentElement.dataset.theme = document.documentElement.dataset.bsTheme = 'dark'")
    found["dark"] = page.evaluate(LOOK, ONLY_CONTRAST)
    page.evaluate("document.documentElement.dataset.theme = document.documentElement.dataset.bsTheme = 'light'")
    page.set_viewport_size({"width": 390, "height": 844})
    found["narrow"] = page.evaluate(LOOK, NO_CONTRAST) + page.evaluate(WIDE)
    return {where: each for where, each in found.items() if each}


def one_heading(page: Page) -> list[str]:
    count = page.locator("h1:not(#swagger-ui h1)").count()  # Swagger UI has one for its title
    return [] if count == 1 else [f"{count} headings of the first order"]


def test_no_page_has_a_serious_fault(window: Page, lively: Lively) -> None:
    found = {name: faults(window, path) for name, path in lively.pages().items()}

    assert {name: each for name, each in found.items() if each} == {}
