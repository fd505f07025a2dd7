"""What people do most, done in Chromium."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import Gates, Site

pytestmark = [pytest.mark.browser, pytest.mark.processes]

KEEP_SOCKETS = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...given) { super(...given); sockets.push(this); }
};
"""
BREAK_WIRE = """() => {
  const wire = sockets.find((socket) => socket.readyState === WebSocket.OPEN); // the browser complains of one not open
  wire?.close();
  return !!wire;
}"""
SEND_EIGHT_TIMES = """() => {
  const form = document.querySelector("#start form");
  const send = () => fetch(form.action, { method: "POST", body: new FormData(form) }).then((answer) => answer.url);
  return Promise.all([...Array(8)].map(send));
}"""
NOTE_THEME_AT_BODY = """
new MutationObserver(() => {
  if (document.body) window.atBody ??= document.documentElement.dataset.bsTheme;
}).observe(document, { childList: true, subtree: true });
"""
LOG_OUT = """() => {
  const form = document.querySelector("form[action='/logout/']");
  return fetch(form.action, { method: "POST", body: new FormData(form) });
}"""


def run_now(page: Page, pipeline: str, variables: str = "") -> str:
    """Start a run from its pipeline's page; return its address."""
    page.goto(f"/pipelines/{pipeline}/")
    page.click("text=Run now")
    if variables:
        page.fill("dialog [name=variables]", variables)
    page.click("dialog button:has-text('Run now')")
    page.wait_for_url(re.compile(r"/runs/\d+/$"))
    return urlsplit(page.url).path


def lines(page: Page) -> list[str]:
    return page.locator("[role=log] li:not(.mark) .text").all_inner_texts()


def counted(page: Page) -> list[int]:
    return [int(line.removeprefix("line ")) for line in lines(page) if line.startswith("line ")]


# --- live -------------------------------------------------------------------------------------------------------------


def test_a_log_streams_while_its_block_runs_and_the_page_follows(page: Page, gates: Gates) -> None:
    run_now(page, "talk", gates.at(5))

    expect(page.locator("[role=log]")).to_contain_text("line 5")
    expect(page.locator(".head .st")).to_have_text("running")
    assert counted(page)[-1] == 5  # it is not over yet

    gates.open()
    expect(page.locator(".head .st")).to_have_text("completed")
    expect(page.locator("#block h2").first).to_have_text("after")


def test_who_scrolls_back_stays_at_the_block_that_is_read(page: Page, gates: Gates) -> None:
    run_now(page, "talk", gates.at(5))
    expect(page.locator("[role=log]")).to_contain_text("line 1")

    page.uncheck("[data-follow]")
    gates.open()

    expect(page.locator(".head .st")).to_have_text("completed")
    expect(page.locator("#block h2").first).to_have_text("count")
    expect(page.locator("[data-log-note]")).to_have_text("End of the log.")
    assert counted(page) == list(range(20))


def test_a_log_marks_colors_levels_and_streams_and_stays_text(page: Page) -> None:
    address = run_now(page, "talk", '{"lines": 1}')
    expect(page.locator(".head .st")).to_have_text("completed")
    page.goto(f"{address}?block=count")
    expect(page.locator("[data-log-note]")).to_have_text("End of the log.")

    assert page.locator(".a-2").inner_text() == "green"
    assert '<script>alert("log")</script>link' in lines(page)
    assert page.locator("li.s-stderr .text").inner_text() == "to stderr"
    assert page.locator("li.l-WARNING .text").inner_text() == "careful"
    assert page.locator("li.l-ERROR .text").inner_text() == "bad"
    assert page.locator("table.preview").inner_text().split() == ["city", "n", "<b>Köln</b>", "1", "∅", "2"]


def test_a_log_goes_on_where_it_stopped_after_each_break(page: Page, gates: Gates) -> None:
    page.add_init_script(KEEP_SOCKETS)
    run_now(page, "talk", gates.at(3, 10, 20, of=40))
    page.click(".graph a:has-text('count')")

    for number in (3, 10, 20):
        expect(page.locator("[role=log]")).to_contain_text(f"line {number}")
        page.wait_for_function(BREAK_WIRE)
        gates.open()
    expect(page.locator("[role=log]")).to_contain_text("line 39")

    assert counted(page) == list(range(40))


def test_a_block_that_is_chosen_while_the_page_refreshes_stays_chosen(page: Page) -> None:
    run_now(page, "talk", '{"lines": 1}')
    expect(page.locator(".head .st")).to_have_text("completed")
    expect(page.locator("#block h2").first).to_have_text("after")
    held: list[Route] = []
    page.route("**/runs/*/**", lambda route: route.continue_() if held or not is_refresh(route) else held.append(route))

    page.evaluate("htmx.trigger('#live', 'look')")
    while not held:
        page.wait_for_timeout(10)
    page.click(".graph a:has-text('count')")  # waits its turn
    page.evaluate("htmx.trigger('#live', 'look')")  # and so does this, in its place
    held[0].continue_()

    expect(page.locator("#block h2").first).to_have_text("count")


def is_refresh(route: Route) -> bool:
    return route.request.headers.get("hx-target") == "live"


def test_a_list_of_runs_changes_by_itself(page: Page, context: BrowserContext, gates: Gates) -> None:
    page.goto("/runs/")
    expect(page.locator("[data-wire]")).to_have_text("live")
    other = context.new_page()

    number = run_now(other, "talk", gates.at(3)).split("/")[2]

    row = page.locator(f"#run-{number}")
    expect(row.locator(".st")).to_have_text("running", timeout=3000)
    gates.open()
    expect(row.locator(".st")).to_have_text("completed")


def test_a_hidden_page_asks_for_nothing_until_it_is_looked_at(page: Page, context: BrowserContext) -> None:
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => window.away === true })")
    page.goto("/runs/")
    expect(page.locator("[data-wire]")).to_have_text("live")
    page.evaluate("window.away = true")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    other = context.new_page()
    number = run_now(other, "talk", '{"lines": 1}').split("/")[2]
    expect(other.locator(".head .st")).to_have_text("completed")
    while_away = list(asked)

    page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))")

    expect(page.locator(f"#run-{number} .st")).to_have_text("completed")
    assert while_away == []
    assert asked


# --- a run ------------------------------------------------------------------------------------------------------------


def test_a_running_run_can_be_cancelled(page: Page) -> None:
    run_now(page, "sleeps")
    expect(page.locator("[role=log]")).to_contain_text("asleep")

    page.click("button:has-text('Cancel')")
    page.click("dialog button:has-text('Cancel the run')")

    expect(page.locator(".head .st")).to_have_text("cancelled")
    expect(page.locator("text=cancelled by admin").first).to_be_visible()


def test_a_block_is_chosen_in_the_graph_from_the_keyboard(page: Page) -> None:
    address = run_now(page, "talk", '{"lines": 1}')
    expect(page.locator(".head .st")).to_have_text("completed")

    page.locator(".graph a").first.focus()
    page.keyboard.press("Enter")

    page.wait_for_url(f"**{address}?block=count")
    expect(page.locator("#block h2").first).to_have_text("count")
    expect(page.locator("[role=log]")).to_contain_text("line 0")
    page.go_back()
    expect(page.locator("#block h2").first).to_have_text("after")


def test_times_are_in_the_readers_zone_with_utc_at_hand(page: Page) -> None:
    run_now(page, "talk", '{"lines": 1}')

    time = page.locator("time[data-style=clock], time[data-style=time]").first
    title = time.get_attribute("title") or ""

    assert "Asia/Tokyo" in title
    assert title.endswith("UTC")


# --- a backfill -------------------------------------------------------------------------------------------------------


def test_a_page_is_written_anew_for_a_browser_that_went_to_another_zone(page: Page, context: BrowserContext) -> None:
    context.clear_cookies(name="zone")
    page.goto("/timeline/")

    expect(page.locator(".tl-head .tl-name")).to_have_text("Asia/Tokyo")
    expect(page.locator("[name=zone] option:checked")).to_have_text("Asia/Tokyo")
    assert {each["name"]: each["value"] for each in context.cookies()}["zone"] == "Asia/Tokyo"


def test_another_pipeline_brings_its_own_triggers_and_keeps_what_was_typed(page: Page) -> None:
    page.goto("/backfills/new/?pipeline=fails")
    page.fill("[name=name]", "May")

    page.select_option("[name=pipeline]", "talk")

    expect(page.locator("[name=schedule] option")).to_have_count(2)
    expect(page.locator("[name=name]")).to_have_value("May")


# --- forms ------------------------------------------------------------------------------------------------------------


def test_a_double_click_on_run_now_starts_one_run(page: Page) -> None:
    page.goto("/runs/?pipeline=sleeps")
    before = page.locator("tbody tr").count()
    page.goto("/pipelines/sleeps/")
    page.click("text=Run now")

    page.locator("dialog button:has-text('Run now')").dblclick()
    page.wait_for_url(re.compile(r"/runs/\d+/$"))

    page.goto("/runs/?pipeline=sleeps")
    expect(page.locator("tbody tr")).to_have_count(before + 1)


def test_the_same_form_sent_eight_times_at_once_starts_one_run(page: Page) -> None:
    page.goto("/pipelines/fails/")

    addresses = page.evaluate(SEND_EIGHT_TIMES)

    assert len(set(addresses)) == 1
    assert "/runs/" in addresses[0]


def test_variables_that_are_not_json_are_told_beside_the_field(page: Page) -> None:
    page.goto("/pipelines/talk/")
    page.click("text=Run now")

    page.fill("dialog [name=variables]", '{"lines": 1,}')
    page.click("dialog button:has-text('Run now')")

    expect(page.locator("dialog .wrong")).to_contain_text("line 1, column")
    expect(page.locator("dialog [name=variables]")).to_have_value('{"lines": 1,}')
    with page.expect_response(lambda answer: answer.url.endswith("/pipelines/talk/")):  # the page stays alive
        page.evaluate("htmx.trigger('#live', 'look')")
    expect(page.locator("dialog [name=variables]")).to_have_value('{"lines": 1,}')


# --- every page -------------------------------------------------------------------------------------------------------


def test_light_and_dark_are_remembered_and_there_before_the_first_paint(page: Page) -> None:
    page.goto("/")
    first = page.locator("html").get_attribute("data-bs-theme")

    page.click("[data-theme-toggle]")
    page.add_init_script(NOTE_THEME_AT_BODY)
    page.goto("/runs/")

    assert first == "light"
    assert page.evaluate("window.atBody") == "dark"


def test_who_has_logged_out_elsewhere_is_sent_to_log_in(chromium_page: Page, site: Site) -> None:
    page = chromium_page
    page.goto("/login/")
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", site.password)
    page.click("button[type=submit]")
    page.wait_for_url("**/")
    expect(page.locator("[data-wire]")).to_have_text("live")

    page.evaluate(LOG_OUT)
    page.evaluate("htmx.trigger('#live', 'look')")

    page.wait_for_url("**/login/?next=/")
