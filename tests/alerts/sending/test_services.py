"""The services of a notification_config, each told on this machine in its own words."""

import json
from typing import Any

import pytest

from alerts.sending import services
from alerts.sending.outcomes import Outcome
from alerts.sending.services import Message
from pipelines.refusal import Refusal
from tests.alerts.receivers import Mailbox, Receiver
from tests.factories import NOON

MESSAGE = Message("0-1", "etl failed", "It failed.", "It failed.\nSee https://jobs/runs/17/.")


def send(service: str, config: dict[str, Any], url: str = "", message: Message = MESSAGE) -> Outcome:
    return services.send(service, config, url, message, NOON)


def mail_config(box: Mailbox, **fields: Any) -> dict[str, Any]:
    plain = {"smtp_host": "127.0.0.1", "smtp_port": str(box.port), "smtp_starttls": False}
    return {**plain, "smtp_mail_from": "ops@example.org", "to_emails": ["ada@example.org", "bob@example.org"], **fields}


@pytest.mark.parametrize(
    ("service", "body"),
    [
        ("slack_config", {"text": "*etl failed*\nIt failed.\nSee https://jobs/runs/17/."}),
        ("discord_config", {"content": "**etl failed**\nIt failed."}),
        ("telegram_config", {"text": "etl failed\nIt failed."}),
        ("google_chat_config", {"text": "*etl failed*\nIt failed."}),
    ],
)
def test_a_chat_is_told_in_its_own_words(server: Receiver, service: str, body: dict[str, str]) -> None:
    assert send(service, {}, f"{server.url}/x?chat_id=7").is_sent

    assert (server.got[0].path, server.got[0].json) == ("/x?chat_id=7", body)


def test_teams_gets_a_card(server: Receiver) -> None:
    assert send("teams_config", {}, server.url).is_sent

    [attachment] = server.got[0].json["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert [block["text"] for block in attachment["content"]["body"]] == ["etl failed", "It failed."]


def test_opsgenie_gets_an_alert_with_what_the_settings_say(server: Receiver) -> None:
    config = {"api_key": "4711", "tags": ["etl"], "responders": [{"id": "x"}], "details": {"a": "b"}, "url": "…"}

    assert send("opsgenie_config", config, server.url).is_sent

    assert server.got[0].headers["authorization"] == "GenieKey 4711"
    assert server.got[0].json == {
        "message": "etl failed",
        "alias": "0-1",
        "description": MESSAGE.details,
        "priority": "P3",
        "tags": ["etl"],
        "responders": [{"id": "x"}],
        "details": {"a": "b"},
    }


@pytest.mark.parametrize(
    ("service", "limit"), [("discord_config", 2000), ("telegram_config", 4096), ("opsgenie_config", 15_000)]
)
def test_no_service_is_told_more_than_it_takes(service: str, limit: int) -> None:
    long = Message("0-1", "t" * 100, "s" * 50_000, "d" * 50_000)

    body = services.BODIES[service](long, {})

    assert max(len(text) for text in body.values()) == limit


def test_values_cannot_mention_people_or_be_markup() -> None:
    assert services.escape_for("slack_config")("<!channel> & <@U1>") == "&lt;!channel&gt; &amp; &lt;@U1&gt;"
    assert "@everyone" not in services.escape_for("discord_config")("@everyone")
    assert services.escape_for("email_config")("<b>") == "<b>"


def test_a_mail_goes_to_all_of_them(mail: Mailbox) -> None:
    assert send("email_config", mail_config(mail)) == Outcome()

    [letter] = mail.letters
    assert letter.mail_from == "ops@example.org"
    assert letter.rcpt_tos == ["ada@example.org", "bob@example.org"]
    assert b"Subject: etl failed\r\n" in letter.content
    assert b"Message-ID: <0-1@orchestrator>" in letter.content
    assert b"It failed.\r\nSee https://jobs/runs/17/." in letter.content


def test_names_cannot_put_lines_into_a_mails_head(mail: Mailbox) -> None:
    hostile = Message("0-1", "etl\r\nBcc: eve@example.org", "s", "d")

    assert send("email_config", mail_config(mail, to_emails="ada@example.org"), message=hostile).is_sent

    assert b"Subject: etl Bcc: eve@example.org\r\n" in mail.letters[0].content
    assert mail.letters[0].rcpt_tos == ["ada@example.org"]


@pytest.mark.parametrize(("answer", "is_final"), [("550 no such user", True), ("450 come again", False)])
def test_receivers_that_are_refused_are_told(mail: Mailbox, answer: str, is_final: bool) -> None:
    mail.refuse = answer

    outcome = send("email_config", mail_config(mail))

    assert (outcome.error, outcome.is_final) == ("127.0.0.1 takes mail for none of to_emails.", is_final)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"smtp_starttls": True}, "STARTTLS"),
        ({"smtp_user": "ada", "smtp_password": "correct-horse"}, "AUTH"),
        ({"smtp_port": 1}, "refused"),
    ],
)
def test_a_mail_server_that_cannot_be_used_as_asked_is_told(mail: Mailbox, fields: dict[str, Any], error: str) -> None:
    outcome = send("email_config", mail_config(mail, **fields))

    assert error in outcome.error
    assert "correct-horse" not in outcome.error
    assert mail.letters == []


def test_settings_that_are_missing_are_named() -> None:
    with pytest.raises(Refusal) as refusal:
        send("email_config", {"smtp_host": "127.0.0.1", "to_emails": ["a@b.c"]})

    assert str(refusal.value).startswith("email_config has no smtp_mail_from.")
    assert refusal.value.field == "notification_config.email_config.smtp_mail_from"


@pytest.mark.parametrize("port", ["many", "0", "65536", "-1", "²", "1" * 5000])
def test_a_port_that_is_none_is_named(port: str) -> None:
    config = {"smtp_host": "h", "smtp_mail_from": "a@b.c", "to_emails": "a@b.c", "smtp_port": port}

    with pytest.raises(Refusal, match="no port"):
        send("email_config", config)


@pytest.mark.parametrize("url", ["", "ftp://x", "file:///etc/passwd", "http://[::1", "http://x:99999", "http://x:0"])
def test_an_address_that_is_none_of_the_web_is_named(url: str) -> None:
    with pytest.raises(Refusal, match="slack_config"):
        send("slack_config", {}, url)


def test_bodies_are_json_whatever_is_in_them(server: Receiver) -> None:
    assert send("telegram_config", {}, server.url, Message("0", "\ud800 \x00 ‮", "s", "d")).is_sent

    assert json.loads(server.got[0].body)["text"].startswith("\ud800 \x00")
