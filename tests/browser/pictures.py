"""Which pages there are pictures of, what is done on a page before its picture, and what is no page."""

from collections.abc import Callable, Mapping

from playwright.sync_api import Page

# The name of a picture and that of an address (benchmarks.addresses), or the address itself.
PAGES = {
    "dashboard": "/",
    "timeline": "/timeline/",
    "load": "/load/",
    "pipelines": "/pipelines/",
    "pipelines-pause": "/pipelines/",
    "pipeline": "/pipelines/{uuid}/",
    "pipeline-run": "/pipelines/{uuid}/",
    "pipeline-grid": "/pipelines/{uuid}/grid/",
    "pipeline-graph": "/pipelines/{uuid}/graph/",
    "pipeline-calendar": "/pipelines/{uuid}/calendar/",
    "pipeline-durations": "/pipelines/{uuid}/durations/",
    "pipeline-landing": "/pipelines/{uuid}/landing/",
    "pipeline-triggers": "/pipelines/{uuid}/triggers/",
    "pipeline-versions": "/pipelines/{uuid}/versions/",
    "pipeline-code": "/pipelines/{uuid}/code/",
    "pipeline-settings": "/pipelines/{uuid}/settings/",
    "runs": "/runs/",
    "runs-cancel": "/runs/",
    "run": "/runs/{run_id}/",
    "run-failed": "/runs/{run_id}/ (failed)",
    "run-running": "/runs/{run_id}/ (running)",
    "run-compare": "/runs/{run_id}/compare/ (failed)",
    "run-retry": "/runs/{run_id}/retry/ (failed)",
    "run-mark": "/runs/{run_id}/blocks/{block_run_id}/mark/",
    "log": "log",
    "logs": "logs",
    "schedules": "/schedules/",
    "schedules-pause": "/schedules/",
    "schedule": "/schedules/{schedule_id}/",
    "schedule-new": "/schedules/new/",
    "schedule-edit": "/schedules/{schedule_id}/edit/",
    "moment": "/schedules/{schedule_id}/occurrences/{occurrence_id}/",
    "moments-held": "/schedules/held/",
    "moments-release": "/schedules/held/",
    "moments-missed": "/schedules/missed/",
    "backfills": "/backfills/",
    "backfill": "/backfills/{backfill_id}/",
    "backfill-new": "/backfills/new/",
    "backfill-plan": "/backfills/new/?pipeline=energy_mix",
    "calendars": "/calendars/",
    "calendar": "/calendars/{calendar_id}/",
    "calendar-new": "/calendars/new/",
    "window": "/calendars/windows/{window_id}/",
    "window-new": "/calendars/windows/new/",
    "incidents": "/incidents/",
    "incidents-snooze": "/incidents/",
    "incident": "/incidents/{incident_id}/",
    "incident-retry": "/incidents/{incident_id}/retry/",
    "rules": "/incidents/rules/",
    "rule": "/incidents/rules/{rule_id}/",
    "rule-new": "/incidents/rules/new/",
    "channels": "/incidents/channels/",
    "channel": "/incidents/channels/{channel_id}/",
    "channel-edit": "/incidents/channels/{channel_id}/edit/",
    "channel-new": "/incidents/channels/new/",
    "deliveries": "/incidents/deliveries/",
    "system": "/system/",
    "retention": "/system/retention/",
    "account": "/account/",
    "password": "/account/password/",
    "login": "/login/",
    "api": "/api/docs/",
    "admin": "/admin/",
    "admin-app": "/admin/{app_label}/",
    "admin-runs": "/admin/runs/pipelinerun/",
    "admin-run": "/admin/runs/pipelinerun/{object_id}/change/",
    "admin-run-history": "/admin/runs/pipelinerun/{object_id}/history/",
    "admin-user-new": "/admin/auth/user/add/",
    "admin-pool": "/admin/runs/pool/{object_id}/change/",
    "admin-pool-delete": "/admin/runs/pool/{object_id}/delete/",
    "not-found": "/nothing/here/",
    "not-allowed": "/admin/runs/pipelinerun/add/",
    "not-understood": "/400/",
    "form-ended": "/403_csrf/",
    "error": "/500/",
}

# Addresses that the lively history has by another name.
ALSO = {"log": "/runs/{run_id}/blocks/{block_run_id}/log/{attempt}/", "logs": "/logs/"}

# What is asked for with GET and has no picture, and why.
LEFT_OUT = {
    "/pipelines/{uuid}/run/": "leads to the page with the form",
    "/schedules/{schedule_id}/run/": "leads to the page with the form",
    "/backfills/{backfill_id}/change/": "leads to the page with the form",
    "/runs/{run_id}/compare/{other_id}/": "the page of run-compare beside another run",
    "/runs/{run_id}/blocks/{block_run_id}/log/{attempt}.{kind}": "a download",
    "/runs/{run_id}/blocks/{block_run_id}/outputs/{name}.{form}": "a download",
    "/healthz": "for machines",
    "/readyz": "for machines",
    "/api/schema/": "for machines",
    "/admin/jsi18n/": "a script of Django's",
    "/admin/autocomplete/": "a part of a form",
    "/admin/r/{content_type_id}/{object_id}/": "leads elsewhere",
    "/admin/login/": "the page of login, in the administration's look",
    "/admin/password_change/": "the page of password, in the administration's look",
    "/admin/password_change/done/": "a sentence after it",
    "/admin/*/*/{id}/password/": "a form of Django's, as admin-user-new is",
    "/admin/*/*/{object_id}/": "leads to the page of change",
    "/admin/{url}": "nothing is there",
}


def tick_and_press(words: str) -> Callable[[Page], None]:
    """On a list: tick the first two rows and press a button, which asks back."""

    def act(page: Page) -> None:
        for box in page.locator("input[type=checkbox][name=ids]").all()[:2]:
            box.check()
        page.get_by_role("button", name=words).click()
        page.wait_for_url("**/")

    return act


def open_dialog(words: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_role("button", name=words).first.click()


# What is done on a page before its picture.
STEPS: Mapping[str, Callable[[Page], None]] = {
    "load": lambda page: page.locator(".heat").wait_for(),  # the first look at it begins to work it out
    "pipelines-pause": tick_and_press("Pause…"),
    "pipeline-run": open_dialog("Run now"),
    "runs-cancel": tick_and_press("Cancel…"),
    "schedules-pause": tick_and_press("Pause…"),
    "moments-release": tick_and_press("Release…"),
    "incidents-snooze": tick_and_press("Snooze…"),
}
