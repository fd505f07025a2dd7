"""The one socket of a page, in Chromium: how many there are, and what is lost when the web server goes."""

import os
import signal

import psutil
import pytest
from playwright.sync_api import Page, Request, WebSocket, WebSocketRoute, expect

from tests.browser.conftest import Gates, Site
from tests.browser.test_pages import counted, run_now

pytestmark = [pytest.mark.browser, pytest.mark.processes]
PLACES = ["/", "/timeline/", "/pipelines/", "/pipelines/talk/", "/schedules/", "/runs/", "/backfills/", "/incidents/"]
PLACES += ["/system/"]


@pytest.fixture
def sockets(page: Page) -> list[WebSocket]:
    """Every websocket that the page opens."""
    found: list[WebSocket] = []
    page.on("websocket", lambda socket: found.append(socket))
    return found


@pytest.mark.parametrize("place", PLACES)
def test_a_page_has_one_socket(page: Page, sockets: list[WebSocket], place: str) -> None:
    page.goto(place)

    expect(page.locator("[data-wire]")).to_have_text("live")
    assert len(sockets) == 1


def test_a_run_with_its_log_has_one_socket_and_so_has_the_whole_log(page: Page, sockets: list[WebSocket]) -> None:
    address = run_now(page, "sleeps")
    page.goto("about:blank")  # the socket of the page before may still be on its way
    sockets.clear()
    page.goto(address)
    expect(page.locator("[role=log]")).to_contain_text("asleep")
    assert len(sockets) == 1
    sockets.clear()

    page.click("text=whole log")

    page.wait_for_url("**/log/1/")
    expect(page.locator("[data-log-note]")).to_have_text("live")
    expect(page.locator("[role=log]")).to_contain_text("asleep")
    assert len(sockets) == 1
    page.goto(address)
    page.click("button:has-text('Cancel')")
    page.click("dialog button:has-text('Cancel the run')")
    expect(page.locator(".head .st")).to_have_text("cancelled")


def test_no_line_is_lost_or_doubled_when_the_web_server_is_started_again(
    page: Page, sockets: list[WebSocket], site: Site, gates: Gates
) -> None:
    address = run_now(page, "talk", gates.at(3, of=60))
    page.goto(f"{address}?block=count")
    expect(page.locator("[role=log]")).to_contain_text("line 3")
    before = len(sockets)

    for child in psutil.Process(site.pid).children():
        if any("web_server" in word for word in child.cmdline()):
            os.kill(child.pid, signal.SIGKILL)
    gates.open()

    expect(page.locator("[role=log]")).to_contain_text("line 59")
    expect(page.locator(".head .st")).to_have_text("completed")
    assert counted(page) == list(range(60))
    assert len(sockets) > before


def test_a_page_looks_again_each_time_that_it_is_told_to(page: Page) -> None:
    told: list[WebSocketRoute] = []
    page.route_web_socket("**/ws/pages/", lambda socket: told.append(socket))
    page.goto("/runs/")
    expect(page.locator("[data-wire]")).to_have_text("live")
    looks: list[Request] = []

    def is_second(request: Request) -> bool:
        looks.extend([request] if is_look(request) else [])
        return len(looks) == 2

    with page.expect_request(is_second):
        told[0].send('{"type": "changed", "wait": 300}')
        told[0].send('{"type": "changed", "wait": 600}')  # before the first is due, and of something later


def is_look(request: Request) -> bool:
    return request.headers.get("hx-target") == "live"
