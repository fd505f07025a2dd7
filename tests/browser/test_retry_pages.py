"""Letting a run go on, in Chromium: the dialog that foretells a retry, a mark by hand, many runs at once."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.browser.test_pages import run_now

pytestmark = [pytest.mark.browser, pytest.mark.processes]

STEPS = """blocks:
- {uuid: first, type: custom, downstream_blocks: [second]}
- {uuid: second, type: custom, upstream_blocks: [first]}
"""
CODE = "@custom\ndef run(*args, **kwargs):\n    print('VALUE')\n"


@pytest.fixture
def finished(page: Page, site: Site) -> str:
    """The address of a completed run of a pipeline of its own."""
    folder = site.project / "pipelines" / "steps"
    folder.mkdir(exist_ok=True)
    for name in ("first", "second"):
        (site.project / "custom" / f"{name}.py").write_text(CODE.replace("VALUE", "before"))
    (folder / "metadata.yaml").write_text(STEPS)
    page.goto("/pipelines/steps/")
    while page.locator("text=Run now").count() == 0:
        page.wait_for_timeout(300)
        page.reload()
    address = run_now(page, "steps")
    expect(page.locator(".head .st").first).to_have_text("completed")
    return address


def test_the_dialog_foretells_what_a_retry_does(page: Page, site: Site, finished: str) -> None:
    page.click("[data-opens=retry]")
    page.check("#what-whole")
    expect(page.locator("#retry-plan")).to_contain_text("2 blocks run again")

    page.check("#what-from")
    page.select_option("[name=from_block]", "second")
    expect(page.locator("#retry-plan")).to_contain_text("1 block runs again, 1 stays as it is")
    page.click("dialog button:has-text('Retry')")

    expect(page.locator(".head .st").first).to_have_text("completed")
    expect(page.locator("dt:has-text('Attempt') + dd").first).to_have_text("2")


def test_the_dialog_shows_what_has_changed_in_the_code(page: Page, site: Site, finished: str) -> None:
    (site.project / "custom" / "second.py").write_text(CODE.replace("VALUE", "afterwards"))
    changed = page.locator("#retry-plan .difference")

    page.click("[data-opens=retry]")
    page.check("#what-whole")
    page.check("#version-current")
    while changed.count() == 0:  # until the scheduler has seen the file
        page.wait_for_timeout(300)
        page.check("#version-pinned")
        page.check("#version-current")
    changed.locator("summary").click()

    expect(changed.locator(".plus")).to_have_text(re.compile("print\\('afterwards'\\)"))
    expect(changed.locator(".minus")).to_have_text(re.compile("print\\('before'\\)"))


def test_a_block_is_marked_by_hand_with_a_reason(page: Page, finished: str) -> None:
    page.goto(f"{finished}?block=second")
    page.click("text=Mark")
    page.check("#as-failed")
    page.fill("#reason", "the numbers are wrong")
    page.click("text=Mark it")

    expect(page.locator(".head .st").first).to_have_text("failed")
    expect(page.locator("#live")).to_contain_text("marked failed by admin: the numbers are wrong")


def test_ticked_runs_are_kept_after_a_question(page: Page, finished: str) -> None:
    number = finished.split("/")[2]
    page.goto("/runs/")
    page.check(f"#tick-{number}")
    page.click("button:has-text('Keep…')")
    expect(page.locator("h1")).to_have_text("Keep 1 run?")

    page.click("button:has-text('Keep 1')")

    expect(page.locator(f"#run-{number} .chip", has_text="kept")).to_be_visible()
