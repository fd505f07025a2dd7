"""Mage's notification_config as it stands: who is told of which end of a run, in which words."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from alerts import courier, notification_config
from alerts.models import Bookmark, Delivery
from alerts.notification_config import write_for_event
from alerts.watching.event_cursor import EventCursor
from pipelines import secrets
from pipelines.notifications import asked_for
from runs.models import Event, PipelineRun
from runs.states import BlockStatus, RunStatus
from schedules.scheduler import FURTHER_DUTIES
from tests.alerts.receivers import Mailbox, Receiver
from tests.factories import NOON, make_pipeline, make_run, make_schedule

Follow = Callable[[datetime], datetime | None]
BOTH = {"slack_config": {"webhook_url": "https://a"}, "teams_config": {"webhook_url": ["https://a", "https://b"]}}
ALL = ["trigger_failure", "trigger_success", "trigger_passed_sla"]
TRACEBACK = "\n".join(f"line {number}" for number in range(80))


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "pipelines/etl").mkdir(parents=True)
    (tmp_path / "pipelines/etl/metadata.yaml").write_text("name: etl\n")
    with override_settings(PROJECT_DIR=tmp_path, PUBLIC_URL="https://jobs.example.org"):
        yield tmp_path


def write(root: Path, text: str) -> None:
    (root / "metadata.yaml").write_text(text)


def make_run_of(config: dict[str, Any], status: RunStatus = RunStatus.FAILED, **fields: Any) -> PipelineRun:
    pipeline = make_pipeline("etl", [("load",), ("save", "load")], notification_config=asked_for(config))
    run = make_run(pipeline, status=status, blocks={"load": BlockStatus.FAILED}, **fields)
    error = {"type": "ValueError", "message": "no rows", "traceback": TRACEBACK}
    run.block_runs.filter(block_uuid="load").update(error=error, completed_at=NOON)
    return run


def happened(run: PipelineRun, kind: str = "failed", at: Any = NOON, **fields: Any) -> Event:
    return Event.objects.create(pipeline_run=run, kind=kind, happened_at=at, **fields)


# --- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "alert_on", "told"),
    [
        ("failed", None, 3),
        ("timed_out", None, 3),
        ("sla_passed", None, 3),
        ("completed", None, 0),
        ("completed", ["trigger_success"], 3),
        ("failed", ["trigger_success"], 0),
        ("sla_passed", ["trigger_failure"], 0),
        ("sla_passed", ["trigger_passed_sla"], 3),
        ("failed", [], 0),
        ("started", ALL, 0),
        ("cancelled", ALL, 0),
    ],
)
def test_those_are_told_who_want_to_be_told_of_it(db: None, kind: str, alert_on: list[str] | None, told: int) -> None:
    config = BOTH if alert_on is None else {**BOTH, "alert_on": alert_on}

    assert write_for_event(happened(make_run_of(config), kind), NOON) == told


def test_each_service_and_address_is_told_once(db: None) -> None:
    event = happened(make_run_of(BOTH))

    assert write_for_event(event, NOON) == 3
    assert write_for_event(event, NOON) == 0
    services = Delivery.objects.order_by("id").values_list("service", "pipeline_uuid", "event_type")
    assert [*services] == [(name, "etl", "run.failure") for name in ("slack_config", "teams_config", "teams_config 2")]


def test_a_run_that_fails_again_after_a_retry_is_told_again(db: None) -> None:
    run = make_run_of(BOTH)

    assert [write_for_event(happened(run), NOON) for _ in range(2)] == [3, 3]


def test_a_block_that_is_late_is_not_its_run(db: None) -> None:
    run = make_run_of(BOTH)

    assert write_for_event(happened(run, "sla_passed", block_run=run.block_runs.first()), NOON) == 0


def test_a_timeout_that_cancels_is_no_failure(db: None) -> None:
    assert write_for_event(happened(make_run_of(BOTH, RunStatus.CANCELLED), "timed_out"), NOON) == 0


@pytest.mark.parametrize("stored", [{}, {"slack_config": {"webhook_url": "https://a"}}, None])
def test_a_version_that_asks_for_nothing_is_told_to_nobody(db: None, stored: dict[str, Any] | None) -> None:
    run = make_run(make_pipeline("etl", notification_config=stored), status=RunStatus.FAILED)

    assert write_for_event(happened(run), NOON) == 0


def test_the_message_knows_what_the_placeholders_stand_for(root: Path, db: None) -> None:
    trigger = make_schedule(make_pipeline("other"), name="nightly", description="Loads the night.")
    run = make_run_of(BOTH, trigger_id=trigger.pk, trigger_name="nightly")

    write_for_event(happened(run), NOON)

    told = Delivery.objects.first()
    assert told is not None
    assert told.data["values"] == {
        "error": "block load: ValueError: no rows",
        "execution_time": "2025-03-02 12:00:00 UTC",
        "pipeline_run_url": f"https://jobs.example.org/runs/{run.pk}/",
        "pipeline_schedule_id": str(trigger.pk),
        "pipeline_schedule_name": "nightly",
        "pipeline_schedule_description": "Loads the night.",
        "pipeline_uuid": "etl",
        "stacktrace": "\n".join(f"line {number}" for number in range(30, 80)),
    }
    assert told.title == "etl failed"


# --- following ------------------------------------------------------------------------------------------------------


@pytest.fixture
def follow(db: None, monkeypatch: pytest.MonkeyPatch) -> Follow:
    """The duty, as of a process that has just begun and looked once."""
    monkeypatch.setattr(notification_config, "CURSOR", EventCursor("notification_config"))
    notification_config.follow(NOON)
    return notification_config.follow


def test_events_of_before_the_first_look_are_not_told(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notification_config, "CURSOR", EventCursor("notification_config"))
    run = make_run_of(BOTH)
    happened(run)

    notification_config.follow(NOON)
    notification_config.follow(NOON)
    assert Delivery.objects.count() == 0
    happened(run)
    notification_config.follow(NOON)

    assert Delivery.objects.count() == 3


def test_what_was_told_is_not_looked_at_again(follow: Follow, django_assert_num_queries: Any) -> None:
    event = happened(make_run_of(BOTH))
    Bookmark.objects.update(position=event.pk - 1)  # on Postgres numbers go on from test to test
    follow(NOON)

    assert Bookmark.objects.get(name="notification_config").position == event.pk
    with django_assert_num_queries(2):
        assert follow(NOON + timedelta(minutes=3)) is None


def test_another_scheduler_tells_nothing_twice(follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    happened(make_run_of(BOTH))
    follow(NOON)
    Bookmark.objects.update(position=0)
    monkeypatch.setattr(notification_config, "CURSOR", EventCursor("notification_config"))

    follow(NOON)

    assert Delivery.objects.count() == 3


def test_one_event_that_cannot_be_told_does_not_stop_the_others(
    follow: Follow, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = make_run_of(BOTH)
    first, _ = happened(run), happened(run)
    tell = write_for_event

    def stumble(event: Event, moment: Any) -> int:
        return tell(event, moment) if event.pk != first.pk else 1 // 0

    monkeypatch.setattr(notification_config, "write_for_event", stumble)
    follow(NOON)

    assert Delivery.objects.count() == 3
    assert f"nothing could be told about failed of run {run.pk}" in caplog.text


def test_many_ends_at_once_are_told_in_turns(follow: Follow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notification_config, "AT_ONCE", 2)
    monkeypatch.setattr(EventCursor.news, "__defaults__", (2,))
    run = make_run_of(BOTH)
    for _ in range(5):
        happened(run)

    wanted = [follow(NOON) for _ in range(3)]

    assert Delivery.objects.count() == 15
    assert [at is not None for at in wanted] == [True, True, False]


def test_the_scheduler_has_been_told_of_it_once() -> None:
    assert [call for call, _ in FURTHER_DUTIES].count(notification_config.follow) == 1


# --- sending --------------------------------------------------------------------------------------------------------


def sent(run: PipelineRun, kind: str = "failed") -> Delivery:
    """Have the first message about the run sent; return how it went."""
    write_for_event(happened(run, kind), NOON)
    delivery = Delivery.objects.order_by("id").first()
    assert delivery is not None
    assert courier.claim(delivery, NOON)
    courier.settle(delivery, courier.attempt(delivery, NOON), NOON)
    delivery.refresh_from_db()
    return delivery


def test_a_failure_is_told_in_our_words_if_there_are_no_others(root: Path, db: None, server: Receiver) -> None:
    write(root, f"notification_config: {{slack_config: {{webhook_url: '{server.url}/x'}}}}\n")
    run = make_run_of(BOTH)

    assert sent(run).state == "sent"

    assert server.got[0].json["text"] == (
        "*etl failed*\nThe run of pipeline etl for 2025-03-02 12:00:00 UTC failed: block load: ValueError: no rows\n"
        f"See https://jobs.example.org/runs/{run.pk}/."
    )


def test_the_words_of_the_files_are_used_and_are_no_template_of_any_engine(
    root: Path, db: None, server: Receiver
) -> None:
    write(
        root,
        f"""
notification_config:
  slack_config: {{webhook_url: '{server.url}/x'}}
  message_templates:
    failure:
      title: "{{pipeline_uuid}} broke {{unknown}} {{0}} {{error.__class__}}"
      details: "$(id) ${{7*7}} {{% load %}} {{{{pipeline_uuid}}}}: {{error}}"
""".replace("{% load %}", "{ % load % }"),
    )

    sent(make_run_of(BOTH))

    assert server.got[0].json["text"] == (
        "*etl broke {unknown} {0} {error.__class__}*\n"
        "$(id) ${7*7} { % load % } {{pipeline_uuid}}: block load: ValueError: no rows"
    )


def test_what_an_error_says_is_not_filled_in_again(root: Path, db: None, server: Receiver) -> None:
    write(root, f"notification_config: {{slack_config: {{webhook_url: '{server.url}/x'}}}}\n")
    run = make_run_of(BOTH)
    run.block_runs.filter(block_uuid="load").update(error={"type": "E", "message": "{stacktrace} <!channel>"})

    sent(run)

    assert "E: {stacktrace} &lt;!channel&gt;" in server.got[0].json["text"]


@pytest.mark.parametrize(
    ("kind", "words", "title"), [("completed", "success", "etl completed"), ("sla_passed", "passed_sla", "etl is late")]
)
def test_success_and_lateness_have_words_of_their_own(
    root: Path, db: None, server: Receiver, kind: str, words: str, title: str
) -> None:
    write(root, f"notification_config: {{telegram_config: {{webhook_url: '{server.url}/x'}}}}\n")
    run = make_run_of({"alert_on": ALL, "telegram_config": {"webhook_url": "x"}}, RunStatus.COMPLETED)

    assert sent(run, kind).event_type == f"run.{words}"
    assert server.got[0].json["text"].startswith(f"{title}\n")


def test_addresses_and_passwords_are_read_when_they_are_needed_and_stored_nowhere(
    root: Path, db: None, server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", f"{server.url}/env-4711")
    secrets.put("genie", "genie-key-4711")
    write(
        root,
        """
notification_config:
  opsgenie_config: {url: "{{ env_var('HOOK') }}", api_key: "{{ secret_var('genie') }}"}
""",
    )

    delivery = sent(make_run_of({"opsgenie_config": {"api_key": "x"}}))

    assert delivery.state == "sent"
    assert server.got[0].path == "/env-4711"
    assert server.got[0].headers["authorization"] == "GenieKey genie-key-4711"
    assert "4711" not in str(Delivery.objects.values())


def test_a_mail_is_sent_with_the_stacktrace_that_its_words_ask_for(root: Path, db: None, mail: Mailbox) -> None:
    write(
        root,
        f"""
notification_config:
  email_config:
    smtp_host: 127.0.0.1
    smtp_port: {mail.port}
    smtp_starttls: false
    smtp_mail_from: ops@example.org
    to_emails: [ada@example.org]
  message_templates: {{failure: {{details: "{{stacktrace}}"}}}}
""",
    )

    assert sent(make_run_of({"email_config": {"smtp_host": "x", "to_emails": ["x"]}})).state == "sent"

    assert b"line 79" in mail.letters[0].content
    assert b"line 29\r\n" not in mail.letters[0].content


def test_a_server_that_says_the_address_again_does_not_give_it_away(root: Path, db: None, server: Receiver) -> None:
    server.answer(403, body=f"no {server.url}/token-4711".encode())
    write(root, f"notification_config: {{slack_config: {{webhook_url: '{server.url}/token-4711'}}}}\n")

    delivery = sent(make_run_of(BOTH))

    assert delivery.state == "trying"
    assert delivery.last_error == "127.0.0.1 answered 403 Forbidden: no ***"


@pytest.mark.parametrize(
    ("text", "state", "error"),
    [
        ("name: x\n", "failed", "no such slack_config any more"),
        ("name: [\n", "trying", "metadata.yaml"),
        ("notification_config: {slack_config: {webhook_url: \"{{ secret_var('x') }}\"}}\n", "failed", "not stored"),
        ("notification_config: {slack_config: {webhook_url: 'file:///etc/passwd'}}\n", "failed", "http"),
        ("notification_config: {slack_config: {webhook_url: 'http://[::1'}}\n", "failed", "http"),
    ],
)
def test_files_that_do_not_say_where_are_told_at_the_message(
    root: Path, db: None, text: str, state: str, error: str
) -> None:
    write(root, text)

    delivery = sent(make_run_of(BOTH))

    assert delivery.state == state
    assert error in delivery.last_error
