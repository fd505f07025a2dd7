"""Logs in Chromium: an error line from a failure, hits by keyboard, a link to a line, a log that is followed."""

import re

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Gates
from tests.browser.test_pages import run_now

pytestmark = [pytest.mark.browser, pytest.mark.processes]


def test_from_a_failure_it_is_one_press_to_the_error_line(page: Page) -> None:
    run_now(page, "fails")
    expect(page.locator(".head .st")).to_have_text("failed")

    page.click("text=first error")  # the page was open while the block failed

    expect(page.locator("li.here .text")).to_have_text("ValueError: <img src=x onerror=alert(1)> no rows")
    expect(page.locator("li.here")).to_be_in_viewport()


def test_hits_are_gone_through_by_keyboard_and_lines_have_links(page: Page, context: BrowserContext) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    run_now(page, "talk", '{"lines": 3}')
    expect(page.locator(".head .st")).to_have_text("completed")
    page.click(".graph a:has-text('count')")
    page.click(".log[data-block=count] >> text=whole log")

    page.wait_for_url("**/log/1/")
    page.keyboard.press("/")
    page.keyboard.type("LINE")
    page.keyboard.press("Enter")
    expect(page.locator("li.here mark")).to_have_text("line")
    page.locator("body").press("n")
    expect(page.locator("li.here .text")).to_have_text("line 1")
    page.locator("body").press("n")
    expect(page.locator("li.here .text")).to_have_text("line 2")
    page.locator("body").press("p")
    expect(page.locator("li.here .text")).to_have_text("line 1")

    page.click("li.here a.at")
    expect(page.locator("[data-log-note]")).to_have_text("The link to the line is copied.")
    link = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"/log/1/\?at=(\d+)#L\1$", link)
    page.goto(link)
    expect(page.locator("li.here .text")).to_have_text("line 1")
    hour = page.locator("li.here time")
    assert int(hour.inner_text()[:2]) == (int(str(hour.get_attribute("datetime"))[11:13]) + 9) % 24


def test_the_page_of_a_log_that_goes_on_follows_it(page: Page, gates: Gates) -> None:
    address = run_now(page, "talk", gates.at(5, of=12))
    expect(page.locator("[role=log]")).to_contain_text("line 1")

    page.click("text=whole log")

    page.wait_for_url(re.compile(f"{address}blocks/\\d+/log/1/$"))
    expect(page.locator("[role=log]")).to_contain_text("line 5")
    gates.open()
    expect(page.locator("[data-log-note]")).to_have_text("End of the log.")
    said = [text for text in page.locator(".text").all_inner_texts() if text.startswith("line ")]
    assert said == [f"line {number}" for number in range(12)]
