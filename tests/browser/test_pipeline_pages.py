"""The views of a pipeline, done in Chromium."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_pages import run_now

pytestmark = [pytest.mark.browser, pytest.mark.processes]


def test_durations_zoom_and_stay_zoomed_when_the_page_refreshes(page: Page) -> None:
    run_now(page, "fails")
    expect(page.locator(".head .st")).to_have_text("failed")
    page.goto("/pipelines/fails/durations/")

    page.click("text=Zoom in")
    expect(page.locator("#zoomed canvas")).to_be_visible()
    page.evaluate("document.querySelector('#zoomed .uplot').id = 'the-same'")
    with page.expect_response(lambda answer: "/durations/" in answer.url):
        page.evaluate("htmx.trigger('#live', 'look')")

    expect(page.locator("#the-same canvas")).to_be_visible()


def test_the_grid_opens_at_its_newest_run_and_leads_to_its_block(page: Page) -> None:
    run = run_now(page, "fails")
    expect(page.locator(".head .st")).to_have_text("failed")
    page.goto("/pipelines/fails/grid/")

    page.locator("tbody td").last.locator("a").click()

    expect(page).to_have_url(f"{page.url.partition('/runs/')[0]}{run}?block=fail")
