"""System, account, log-in and the pages of errors."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.test import Client, override_settings
from django.urls import path
from django.utils import timezone

from orchestrator_site import urls
from orchestrator_site.middleware import CONTENT_SECURITY_POLICY
from runs.models import WorkerKind
from runs.states import BlockStatus, RunStatus
from tests.factories import make_run, make_worker, text_of

pytestmark = pytest.mark.django_db


# --- system, account --------------------------------------------------------------------------------------------------


def test_the_system_page_tells_the_living_from_the_gone(page: Client) -> None:
    now = timezone.now()
    make_worker(seen_at=now, pid=1)
    make_worker(seen_at=now - timedelta(minutes=5), pid=2)
    make_worker(seen_at=now, stopped_at=now, pid=3)

    rows = page.get("/system/").context["processes"]

    assert {row["process"].pid: row["state"] for row in rows} == {1: "alive", 2: "gone", 3: "stopped"}


def test_the_system_page_says_what_a_worker_holds(page: Client) -> None:
    worker = make_worker(seen_at=timezone.now())
    run = make_run(blocks={"load": BlockStatus.RUNNING, "clean": BlockStatus.COMPLETED})
    run.block_runs.update(worker=worker)

    (row,) = page.get("/system/").context["processes"]

    assert row["process"].held == 1


def test_the_system_page_says_how_late_each_scheduler_was(page: Client) -> None:
    now = timezone.now()
    for pid, seconds in ((1, 2), (2, 7)):
        make_worker(WorkerKind.SCHEDULER, pid=pid, seen_at=now, last_loop_at=now, lag=timedelta(seconds=seconds))

    text = text_of(page.get("/system/"))

    assert "lag 2.00 s" in text
    assert "lag 7.00 s" in text


def test_the_system_page_shows_no_secret(page: Client) -> None:
    from django.conf import settings

    text = text_of(page.get("/system/"))

    assert settings.SECRET_KEY not in text
    assert all(key not in text for key in settings.SECRETS_KEYS)


def test_the_account_page_leads_to_the_password(page: Client) -> None:
    assert 'href="/account/password/"' in text_of(page.get("/account/"))


def test_a_new_password_is_accepted_and_keeps_one_logged_in(page: Client, ada: User) -> None:
    new = "a much longer sentence"
    data = {"old_password": "correct horse", "new_password1": new, "new_password2": new}

    answer = page.post("/account/password/", data, follow=True)

    ada.refresh_from_db()
    assert ada.check_password(new)
    assert answer.request["PATH_INFO"] == "/account/"


# --- logging in and out -----------------------------------------------------------------------------------------------


def test_who_is_not_logged_in_is_sent_to_log_in_and_back(client: Client, ada: User) -> None:
    sent = client.get("/runs/?status=failed")
    answer = client.post(
        sent["Location"], {"username": "ada", "password": "correct horse", "next": "/runs/?status=failed"}
    )

    assert sent["Location"] == "/login/?next=/runs/%3Fstatus%3Dfailed"
    assert answer["Location"] == "/runs/?status=failed"


def test_a_wrong_password_keeps_the_name_and_says_so(client: Client, ada: User) -> None:
    text = text_of(client.post("/login/", {"username": "ada", "password": "no"}))

    assert 'value="ada"' in text
    assert "do not fit together" in text


def test_logging_in_never_leads_elsewhere(client: Client, ada: User) -> None:
    data = {"username": "ada", "password": "correct horse", "next": "https://evil.example/"}

    assert client.post("/login/", data)["Location"] == "/"


def test_a_foreign_host_name_is_refused_without_a_traceback_in_the_log(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/login/", headers={"host": "evil.example"})

    assert answer.status_code == 400
    assert caplog.records == []


def test_logging_out_needs_a_post(page: Client) -> None:
    assert page.get("/logout/").status_code == 405
    assert page.post("/logout/")["Location"] == "/login/"
    assert page.get("/")["Location"].startswith("/login/")


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/pipelines/",
        "/pipelines/x/",
        "/runs/",
        "/runs/1/",
        "/schedules/",
        "/schedules/1/",
        "/schedules/new/",
        "/schedules/preview/",
        "/system/",
        "/account/",
        "/runs/1/blocks/1/log/1/",
        "/admin/",
    ],
)
def test_no_page_is_shown_to_strangers(client: Client, address: str) -> None:
    answer = client.get(address)

    assert answer.status_code == 302
    assert "/login/" in answer["Location"]


# --- headers and errors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["/", "/login/", "/nowhere/", "/pipelines/nope/", "/admin/"])
def test_every_page_carries_the_policy_and_is_not_kept(page: Client, address: str) -> None:
    answer = page.get(address)

    assert answer["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert "no-store" in answer["Cache-Control"]
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_an_unknown_address_is_named(page: Client) -> None:
    answer = page.get("/nowhere/<script>/")

    assert answer.status_code == 404
    assert "There is no page /nowhere/&lt;script&gt;/." in text_of(answer)


def test_a_stranger_learns_nothing_from_an_unknown_address(client: Client) -> None:
    answer = client.get("/nowhere/")

    assert answer.status_code == 404
    assert "Pipelines" not in text_of(answer)


def test_a_post_without_its_token_changes_nothing_and_shows_a_way_back(ada: User) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ada)
    run = make_run()

    answer = strict.post(f"/runs/{run.pk}/cancel/")

    run.refresh_from_db()
    assert answer.status_code == 403
    assert "Nothing was changed" in text_of(answer)
    assert run.status == RunStatus.RUNNING


def broken(request: object) -> None:
    raise RuntimeError("the secret of the database is hunter2")


def without_database(request: object) -> None:
    raise OperationalError("connection to db.internal failed, password hunter2")


for view in (broken, without_database):
    view.login_required = False  # type: ignore[attr-defined]
urlpatterns = [*urls.urlpatterns, path("broken/", broken), path("away/", without_database)]  # type: ignore[arg-type]
handler500 = urls.handler500


@override_settings(ROOT_URLCONF=__name__)
def test_a_fault_of_ours_shows_a_page_without_its_details(ada: User) -> None:
    patient = Client(raise_request_exception=False)
    patient.force_login(ada)

    answer = patient.get("/broken/")

    assert answer.status_code == 500
    assert "Something went wrong here" in text_of(answer)
    assert "hunter2" not in text_of(answer)
    assert answer["Content-Security-Policy"] == CONTENT_SECURITY_POLICY


@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize(("method", "address"), [("get", "/away/?q=%22%3E"), ("post", "/")])
def test_without_the_database_a_page_says_so_and_asks_for_nothing_else(ada: User, method: str, address: str) -> None:
    patient = Client(raise_request_exception=False)

    answer = getattr(patient, method)("/away/?q=%22%3E")

    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "The database does not answer" in text_of(answer)
    assert f'href="{address}"' in text_of(answer)
    assert "hunter2" not in text_of(answer)
