"""Hostile words wherever words are kept: every page shows them as text, and nothing is run, loaded or pushed aside."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, Page

from tests.browser.lively.serving import Lively, serving

pytestmark = [pytest.mark.browser, pytest.mark.processes, pytest.mark.timeout(300)]

TRAP = """
window.violations = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) => {
  violations.push(`${violatedDirective} ${blockedURI}`);
});
"""
INJECTED = """() => [
  ...violations,
  ...[...document.querySelectorAll("img[src=x], [onerror], [onload], a[href^=javascript], main script:not([src])")]
    .map((each) => each.outerHTML.slice(0, 120)),
]"""


@pytest.fixture(scope="module")
def poisoned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lively]:
    with serving(tmp_path_factory.mktemp("poisoned"), "poisoned") as found:
        yield found


@pytest.fixture
def window(chromium: Browser, poisoned: Lively) -> Iterator[Page]:
    context = poisoned.context(chromium, 1440, "light")
    context.add_init_script(TRAP)
    yield context.new_page()
    context.close()


def harm(page: Page, address: str) -> list[str]:
    """What hostile words have done on a page; nothing of what is no page."""
    try:
        answer = page.goto(address)
    except Error:  # there is only an answer to POST
        return []
    if answer is None or "html" not in answer.headers.get("content-type", "") or answer.status in (403, 404, 405):
        return []
    if answer.status != 200:
        return [f"answered {answer.status}"]
    wide: int = page.evaluate("document.documentElement.scrollWidth")
    found: list[str] = page.evaluate(INJECTED)
    return [*found, *([f"{wide} pixels wide"] if wide > 1440 else [])]


def test_hostile_words_stay_words_on_every_page(window: Page, poisoned: Lively) -> None:
    dialogs: list[str] = []
    window.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))

    done = {name: harm(window, path) for name, path in poisoned.pages().items()}

    assert {name: each for name, each in done.items() if each} == {}
    assert dialogs == []
    fresh = window.context.new_page()  # the last address may be one that goes on elsewhere
    fresh.goto(poisoned.addresses["/runs/{run_id}/ (failed)"])
    assert "<script>alert(2)</script>" in fresh.locator("main").inner_text()
    fresh.goto(poisoned.addresses["log"])
    assert "<img src=x onerror=alert(1)>" in fresh.get_by_role("log").inner_text()
