"""What people do most, done in Chromium."""

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import Site

pytestmark = [pytest.mark.browser, pytest.mark.processes]

PAGES = [
    "/",
    "/pipelines/",
    "/pipelines/talk/",
    "/pipelines/talk/grid/",
    "/pipelines/talk/durations/",
    "/pipelines/talk/versions/",
    "/pipelines/broken/",
    "/pipelines/nope/",
    "/runs/",
    "/schedules/",
    "/schedules/1/",
    "/schedules/new/",
    "/schedules/1/edit/",
    "/schedules/held/",
    "/system/",
    "/account/",
    "/account/password/",
]
KEEP_SOCKETS = """
window.sockets = [];
window.WebSocket = class extends WebSocket {
  constructor(...given) { super(...given); sockets.push(this); }
};
"""
SEND_EIGHT_TIMES = """() => {
  const form = document.querySelector("#start form");
  const send = () => fetch(form.action, { method: "POST", body: new FormData(form) }).then((answer) => answer.url);
  return Promise.all([...Array(8)].map(send));
}"""
NAMELESS = """() => {
  const pressed = "a, button, input:not([type=hidden]), select, textarea";
  const isNamed = (each) =>
    each.ariaLabel || each.textContent.trim() || each.labels?.length || each.querySelector("title");
  return [...document.querySelectorAll(pressed)].filter((each) => !isNamed(each)).map((each) => each.outerHTML);
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


def test_a_log_streams_while_its_block_runs_and_the_page_follows(page: Page) -> None:
    run_now(page, "talk")

    expect(page.locator("[role=log]")).to_contain_text("line 3")
    expect(page.locator(".head .st")).to_have_text("running")
    assert counted(page)[-1] < 19  # it is not over yet

    expect(page.locator(".head .st")).to_have_text("completed")
    expect(page.locator("#block h2").first).to_have_text("after")


def test_who_scrolls_back_stays_at_the_block_that_is_read(page: Page) -> None:
    run_now(page, "talk")
    expect(page.locator("[role=log]")).to_contain_text("line 1")

    page.uncheck("[data-follow]")

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


def test_a_log_goes_on_where_it_stopped_after_each_break(page: Page) -> None:
    page.add_init_script(KEEP_SOCKETS)
    run_now(page, "talk", '{"lines": 40}')
    page.click(".graph a:has-text('count')")

    for number in (3, 10, 20):
        expect(page.locator("[role=log]")).to_contain_text(f"line {number}")
        page.evaluate("sockets.forEach((socket) => socket.close())")
    expect(page.locator("[role=log]")).to_contain_text("line 39")

    assert counted(page) == list(range(40))


def test_a_block_that_is_chosen_while_the_page_refreshes_stays_chosen(page: Page) -> None:
    run_now(page, "talk", '{"lines": 1}')
    expect(page.locator(".head .st")).to_have_text("completed")
    expect(page.locator("#block h2").first).to_have_text("after")
    held: list[Route] = []
    page.route("**/runs/*/**", lambda route: route.continue_() if held or not is_refresh(route) else held.append(route))

    page.evaluate("htmx.trigger('#live', 'look')")
    page.click(".graph a:has-text('count')")  # waits its turn
    page.evaluate("htmx.trigger('#live', 'look')")  # and so does this, in its place
    held[0].continue_()

    expect(page.locator("#block h2").first).to_have_text("count")


def is_refresh(route: Route) -> bool:
    return route.request.headers.get("hx-target") == "live"


def test_a_list_of_runs_changes_by_itself(page: Page, context: BrowserContext) -> None:
    page.goto("/runs/")
    expect(page.locator("[data-wire]")).to_have_text("live")
    other = context.new_page()

    number = run_now(other, "talk", '{"lines": 5}').split("/")[2]

    row = page.locator(f"#run-{number}")
    expect(row.locator(".st")).to_have_text("running", timeout=3000)
    expect(row.locator(".st")).to_have_text("completed")


def test_a_hidden_page_asks_for_nothing_until_it_is_looked_at(page: Page, context: BrowserContext) -> None:
    page.add_init_script("Object.defineProperty(document, 'hidden', { get: () => window.away === true })")
    page.goto("/runs/")
    expect(page.locator("[data-wire]")).to_have_text("live")
    page.evaluate("window.away = true")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    other = context.new_page()
    run_now(other, "talk", '{"lines": 1}')
    expect(other.locator(".head .st")).to_have_text("completed")
    while_away = list(asked)

    page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))")

    page.wait_for_function("() => document.querySelectorAll('tr .st').length > 0")
    expect(page.locator("tbody tr").first).to_contain_text("completed")
    assert while_away == []
    assert len(asked) >= 1


# --- a run ------------------------------------------------------------------------------------------------------------


def test_a_failed_run_opens_at_its_error(page: Page) -> None:
    run_now(page, "fails")

    expect(page.locator(".head .st")).to_have_text("failed")
    expect(page.locator(".fault .type")).to_have_text("ValueError")
    expect(page.locator(".fault .message")).to_have_text("<img src=x onerror=alert(1)> no rows")
    expect(page.locator(".fault pre").first).to_contain_text("raise ValueError")


def test_a_failed_run_can_be_retried(page: Page) -> None:
    run_now(page, "fails")
    expect(page.locator(".head .st")).to_have_text("failed")

    page.click("[data-opens=retry]")
    page.click("#retry button:has-text('Retry')")

    expect(page.locator("text=goes on: attempt 2")).to_be_visible()
    expect(page.locator(".facts >> text=Attempt").first).to_be_visible()


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


def test_a_backfill_is_planned_while_it_is_typed_started_and_followed(page: Page) -> None:
    page.goto("/pipelines/fails/")
    page.click(".actions a:has-text('Backfill')")
    expect(page.locator("#plan")).to_contain_text("8 slots")

    page.fill("[name=start_at]", "2025-02-01T00:00")
    page.fill("[name=end_at]", "2025-02-02T00:00")
    expect(page.locator("#plan tbody tr")).to_have_count(2)
    page.fill("[name=run_limit]", "0")
    expect(page.locator("#plan .note-error")).to_contain_text("Limit must be at least 1")
    page.fill("[name=run_limit]", "2")
    page.click("button:has-text('Start 2 runs')")

    expect(page.locator(".tallies")).to_contain_text("2 failed")
    expect(page.locator("button:has-text('Retry failed')")).to_be_visible()


def test_another_pipeline_brings_its_own_triggers_and_keeps_what_was_typed(page: Page) -> None:
    page.goto("/backfills/new/?pipeline=fails")
    expect(
        page.locator("#plan")
    ).not_to_be_empty()  # typing would end the first plan's request, which the console tells
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


def test_a_rule_is_previewed_while_it_is_typed(page: Page) -> None:
    page.goto("/schedules/new/")

    page.locator("[name=schedule_interval]").press_sequentially("0 6 * * 1-5")
    page.fill("[name=timezone]", "Europe/Berlin")

    expect(page.locator("#preview")).to_contain_text("at 06:00 on Monday to Friday")
    expect(page.locator("#preview tbody tr")).to_have_count(10)
    page.fill("[name=schedule_interval]", "61 * * * *")
    expect(page.locator("#preview")).to_contain_text("61 is outside 0–59")


def test_a_trigger_is_made_paused_and_resumed(page: Page) -> None:
    page.goto("/schedules/new/?pipeline=talk")
    page.fill("[name=name]", "in the morning")
    page.fill("[name=schedule_interval]", "0 6 * * *")

    page.click("button:has-text('Save')")

    expect(page.locator(".head .st")).to_have_text("active")
    page.click("summary:has-text('Pause')")
    page.click("button:has-text('Until someone resumes it')")
    expect(page.locator(".head .st")).to_have_text("paused")
    page.click("button:has-text('Resume')")
    expect(page.locator(".head .st")).to_have_text("active")


# --- every page -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("address", PAGES)
def test_a_page_fits_its_window_and_names_what_can_be_pressed(page: Page, address: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(address)

    nameless = page.evaluate(NAMELESS)

    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert nameless == []
    assert page.locator("h1").count() == 1


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
