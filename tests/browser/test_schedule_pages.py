"""The form of a trigger in Chromium: what is told while someone types, and nothing is saved before Save."""

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.processes]


def test_the_plan_follows_what_is_typed_until_it_is_saved(page: Page) -> None:
    page.goto("/schedules/new/")
    page.fill("[name=name]", "planned")
    page.select_option("[name=pipeline]", "fails")
    page.fill("[name=schedule_interval]", "30 2 * * *")
    page.fill("[name=timezone]", "Europe/Berlin")

    preview = page.locator("#preview")
    expect(preview).to_contain_text("at 02:30 every day")
    expect(preview.locator("th")).to_have_text(["Europe/Berlin", "Asia/Tokyo", "UTC"])
    expect(preview.locator("tbody tr").first).to_contain_text(re.compile(r"02:30 \+0[12]:00\s*(09|10):30"))
    expect(preview).to_contain_text("does not exist")
    expect(page.locator("#said")).to_contain_text("the first run is at its next moment")

    page.click("summary:has-text('Clock changes')")
    page.select_option("[name=dst_missing]", "skipped")
    expect(preview).to_contain_text("skipped.")
    page.uncheck("[name=is_active]")
    expect(page.locator("#said")).to_have_text("Saving starts nothing: it is paused.")

    page.click("button:has-text('Save')")
    expect(page.locator(".head")).to_contain_text("planned")
    expect(page.locator(".head .st")).to_have_text("paused")


def test_a_wrong_setting_opens_its_group_and_stays_as_it_was_typed(page: Page) -> None:
    page.goto("/schedules/1/edit/")
    page.click("summary:has-text('Late moments')")
    page.fill("[name=catchup_window]", "a while")
    page.click("button:has-text('Save')")

    expect(page.locator("#id_catchup_window_error")).to_contain_text("a number of seconds from 1 to 31 536 000")
    expect(page.locator("[name=catchup_window]")).to_have_value("a while")
    expect(page.locator("[name=start_deadline]")).to_be_visible()
    expect(page.locator("[name=jitter]")).to_be_hidden()


def test_a_trigger_that_follows_pipelines_needs_no_interval(page: Page) -> None:
    page.goto("/schedules/new/")
    expect(page.locator("[name=after_pipelines]")).to_be_hidden()

    page.select_option("[name=schedule_type]", "event")

    expect(page.locator("[name=schedule_interval]")).to_be_hidden()
    page.select_option("[name=after_pipelines]", ["talk", "fails"])
    expect(page.locator("#preview")).to_contain_text("when any of fails and talk has completed")
