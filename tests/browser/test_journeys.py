"""The ten things that people do most, as they do them: by what they read on the page, against real processes."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.browser.conftest import Site
from tests.browser.test_pages import run_now

pytestmark = [pytest.mark.browser, pytest.mark.processes]


@pytest.fixture(scope="module")
def failed(chromium, site: Site, session) -> Iterator[str]:  # type: ignore[no-untyped-def]
    """The address of a run that failed, of which an incident tells."""
    context = chromium.new_context(base_url=site.url, storage_state=session, timezone_id="UTC")
    page = context.new_page()
    page.set_default_timeout(20_000)
    address = run_now(page, "fails")
    expect(state_of(page)).to_have_text("failed")
    context.close()
    return address


def state_of(page: Page) -> Locator:
    return page.locator(".head .st").first


def to(page: Page, name: str) -> None:
    """Go to a page by the bar at the top."""
    page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def test_somebody_logs_in_and_sees_the_dashboard(chromium_page: Page, site: Site) -> None:
    page = chromium_page
    page.goto("/runs/")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill("a guess")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not fit together")

    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(site.password)
    page.get_by_role("button", name="Log in").click()

    expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    page.get_by_role("link", name="Orchestrator").click()
    expect(page.get_by_role("navigation", name="Pages").get_by_role("link", name="Dashboard")).to_have_attribute(
        "aria-current", "page"
    )


def test_a_failure_is_seen_on_the_dashboard_and_leads_to_its_error_in_the_log(page: Page, failed: str) -> None:
    page.goto("/")
    wrong = page.get_by_role("region", name="What is wrong")
    wrong.get_by_role("link", name="fails", exact=False).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("fails")

    page.get_by_role("link", name=re.compile(r"^#\d+$")).first.click()
    broke = page.get_by_role("region", name="What broke this run")
    expect(broke).to_contain_text("ValueError")
    expect(broke).to_contain_text("<img src=x onerror=alert(1)> no rows")
    broke.get_by_role("link", name="The log line").click()

    line = page.get_by_role("log").get_by_text("ValueError: <img src=x onerror=alert(1)> no rows")
    expect(line).to_be_in_viewport()


def test_a_run_goes_on_from_the_block_that_failed(page: Page, failed: str) -> None:
    page.goto(failed)
    page.get_by_role("button", name="Retry from here").or_(page.get_by_role("link", name="Retry from here")).click()
    plan = page.locator("#retry-plan")
    expect(plan).to_contain_text("1 block runs again")
    page.get_by_role("button", name="Retry", exact=True).click()

    expect(page.get_by_text("goes on: attempt 2")).to_be_visible()
    expect(state_of(page)).to_have_text("failed")


def test_an_incident_is_acknowledged_with_a_note(page: Page, failed: str) -> None:
    to(page_at(page, "/"), "Incidents")
    page.get_by_role("link", name="fails", exact=False).first.click()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".head")).to_contain_text("acknowledged")

    page.get_by_placeholder("What you found").fill("the file was empty")
    page.get_by_role("button", name="Note it").click()

    expect(page.get_by_text("the file was empty")).to_be_visible()


def page_at(page: Page, address: str) -> Page:
    page.goto(address)
    return page


def test_a_trigger_is_paused_for_an_hour_and_resumed(page: Page) -> None:
    to(page_at(page, "/"), "Schedules")
    page.get_by_role("link", name="yearly", exact=True).click()
    page.locator("summary", has_text="Pause").click()
    page.get_by_role("button", name="For an hour").click()
    expect(state_of(page)).to_have_text("paused")
    expect(page.get_by_text("then it resumes by itself")).to_be_visible()

    page.get_by_role("button", name="Resume").click()

    expect(state_of(page)).to_have_text("active")


def test_a_cron_is_edited_after_its_plan_was_read(page: Page) -> None:
    to(page_at(page, "/"), "Schedules")
    page.get_by_role("link", name="yearly", exact=True).click()
    page.get_by_role("link", name="Edit").click()
    page.get_by_role("textbox", name="When").or_(page.get_by_role("combobox", name="When")).first.fill("30 6 * * *")
    plan = page.get_by_role("region", name="Plan")
    expect(plan).to_contain_text("14 added, 0 removed")
    expect(page.locator("#preview")).to_contain_text("at 06:30 every day")

    page.get_by_role("button", name="Save").click()

    expect(page.get_by_text("at 06:30 every day").first).to_be_visible()


def test_a_run_is_given_variables_in_fields_of_their_types(page: Page) -> None:
    to(page_at(page, "/"), "Pipelines")
    page.get_by_role("link", name="greets", exact=True).first.click()
    page.get_by_role("button", name="Run now").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("whom").fill("<b>Ada</b>")
    dialog.get_by_label("times").fill("3")
    dialog.get_by_role("button", name="Run now").click()

    expect(state_of(page)).to_have_text("completed")
    expect(page.get_by_role("log").get_by_text("good morning, <b>Ada</b>")).to_have_count(3)


def test_a_backfill_is_planned_and_followed(page: Page) -> None:
    to(page_at(page, "/"), "Pipelines")
    page.get_by_role("link", name="greets", exact=True).first.click()
    page.get_by_role("link", name="Backfill", exact=True).click()
    plan = page.locator("#plan")
    expect(plan).to_contain_text("8 slots")
    page.get_by_label("First slot").fill("2025-02-01T00:00")
    page.get_by_label("Last slot").fill("2025-02-02T00:00")
    expect(plan.locator("tbody tr")).to_have_count(2)
    page.get_by_label("Runs at a time").fill("0")
    expect(plan).to_contain_text("must be at least 1")
    page.get_by_label("Runs at a time").fill("2")

    page.get_by_role("button", name="Start 2 runs").click()

    expect(page.get_by_text("2 completed")).to_be_visible()


def test_the_logs_of_all_runs_are_searched_and_lead_to_the_line(page: Page, failed: str) -> None:
    to(page_at(page, "/"), "Logs")
    page.get_by_role("searchbox").fill("no rows")
    page.get_by_role("button", name="Search").click()
    found = page.get_by_role("region", name=re.compile(r"^Run \d+"))
    expect(found.first.locator("mark").first).to_have_text("no rows")

    found.first.get_by_role("heading", level=3).get_by_role("link").first.click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Log of fail")
    expect(page.get_by_role("log").locator("mark").first).to_be_in_viewport()


def test_the_keyboard_alone_leads_from_the_dashboard_to_a_log(page: Page, context: BrowserContext, failed: str) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    follow(page, r"^(run )?#\d+$")
    follow(page, "^The log line$")

    expect(page.get_by_role("heading", level=1)).to_have_text("Log of fail")
    tab_to(page, "ol", "ValueError")


FOCUSED = """() => {
  const at = document.activeElement;
  return [at.localName, at.textContent.trim(), getComputedStyle(at).outlineStyle];
}"""


def follow(page: Page, name: str) -> None:
    """Tab to a link and press Enter."""
    before = page.url
    tab_to(page, "a", name)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: url != before)


def tab_to(page: Page, kind: str, name: str) -> None:
    """Press Tab until such an element has the focus, and shows that it has it."""
    seen = []
    for _ in range(120):
        page.keyboard.press("Tab")
        tag, text, outline = page.evaluate(FOCUSED)
        seen.append(text[:40])
        if tag == kind and re.search(name, text):
            assert outline != "none"
            return
    raise AssertionError(f"the keyboard does not come to {name}, only to {seen}")


def test_escape_closes_menus_and_dialogs_and_gives_the_focus_back(page: Page, failed: str) -> None:
    page.goto(failed)
    page.get_by_role("button", name="Retry…").press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="Retry…")).to_be_focused()

    page.locator("summary[aria-label^=Account]").press("Enter")
    expect(page.get_by_role("link", name="Account", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Account", exact=True)).to_be_hidden()
