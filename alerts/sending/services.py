"""The services of Mage's notification_config: each is told in its own words, by its web address or by e-mail."""

import json
import smtplib
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Any

from django.conf import settings

from alerts.sending import guard, posting
from alerts.sending.outcomes import SENT, Outcome
from pipelines.refusal import Refusal

OPSGENIE_URL = "https://api.opsgenie.com/v2/alerts"
# What people wrote into a project's files may go to their own network: who writes there runs code on the workers.
ALLOW_PRIVATE = True
Escape = Callable[[str], str]


@dataclass(frozen=True)
class Message:
    """What a run's end is told by. `summary` is for chats, `details` for mail."""

    id: str  # the same in every try
    title: str
    summary: str
    details: str


def escape_for(service: str) -> Escape:
    """Return what keeps a value from being read as a mention or markup of the service."""
    return ESCAPES.get(service, str)


def send(service: str, config: Mapping[str, Any], url: str, message: Message, moment: datetime) -> Outcome:
    """Tell one service, at one of its addresses."""
    if service == "email_config":
        return mail(config, message)
    headers = {"Content-Type": "application/json", "User-Agent": f"Orchestrator/{settings.VERSION}"}
    if service == "opsgenie_config":
        headers["Authorization"] = f"GenieKey {needed(service, config, 'api_key')}"
        url = url or OPSGENIE_URL
    if not posting.is_web_address(url):
        hint = "It begins with http:// or https://."
        raise Refusal(f"An address of {service} is none of the web.", field=f"notification_config.{service}", hint=hint)
    body = json.dumps(BODIES[service](message, config)).encode()
    return posting.post(url, body, headers, moment=moment, allow_private=ALLOW_PRIVATE)


def needed(service: str, config: Mapping[str, Any], key: str) -> Any:
    if value := config.get(key):
        return value
    hint = f"Set it in metadata.yaml, under notification_config, {service}."
    raise Refusal(f"{service} has no {key}.", field=f"notification_config.{service}.{key}", hint=hint)


# --- bodies ---------------------------------------------------------------------------------------------------------


def slack(message: Message, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": f"*{message.title}*\n{message.details}"[:40_000]}


def teams(message: Message, config: Mapping[str, Any]) -> dict[str, Any]:
    title = {"type": "TextBlock", "size": "Medium", "weight": "Bolder", "wrap": True, "text": message.title}
    text = {"type": "TextBlock", "wrap": True, "text": message.summary[:20_000]}
    card = {"type": "AdaptiveCard", "version": "1.4", "body": [title, text]}
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [content]}


def discord(message: Message, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"content": f"**{message.title}**\n{message.summary}"[:2000]}


def telegram(message: Message, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": f"{message.title}\n{message.summary}"[:4096]}


def google_chat(message: Message, config: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": f"*{message.title}*\n{message.summary}"[:4000]}


def opsgenie(message: Message, config: Mapping[str, Any]) -> dict[str, Any]:
    body = {
        "message": message.title[:130],
        "alias": message.id,
        "description": message.details[:15_000],
        "priority": config.get("priority") or "P3",
    }
    return body | {key: config[key] for key in ("responders", "tags", "details") if config.get(key)}


BODIES = {
    "slack_config": slack,
    "teams_config": teams,
    "discord_config": discord,
    "telegram_config": telegram,
    "google_chat_config": google_chat,
    "opsgenie_config": opsgenie,
}


def escape_markup(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def escape_mentions(text: str) -> str:
    return text.replace("@", "@\u200b")


ESCAPES: Mapping[str, Escape] = {
    "slack_config": escape_markup,
    "discord_config": escape_mentions,
    "google_chat_config": escape_markup,
}


# --- mail -----------------------------------------------------------------------------------------------------------


def mail(config: Mapping[str, Any], message: Message) -> Outcome:
    """Send one mail to all of `to_emails`."""
    host = str(needed("email_config", config, "smtp_host"))
    try:
        letter = letter_of(config, message)
        server = mail_server(host, config)
        try:
            server.send_message(letter)
        finally:
            leave(server)
    except smtplib.SMTPRecipientsRefused as error:
        answers = [answer for answer, _ in error.recipients.values()]
        return Outcome(error=f"{host} takes mail for none of to_emails.", is_final=all(code >= 550 for code in answers))
    except smtplib.SMTPResponseException as error:
        text = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return Outcome(error=f"{host} answered {error.smtp_code}: {' '.join(text.split())[:200]}")
    except (OSError, smtplib.SMTPException) as error:
        known = isinstance(error, smtplib.SMTPException)
        return Outcome(error=f"{host}: {error if known else posting.in_words(error)}")
    return SENT


def letter_of(config: Mapping[str, Any], message: Message) -> EmailMessage:
    letter = EmailMessage()
    letter["Subject"] = " ".join(message.title.split())[:300]
    letter["From"] = one_line(needed("email_config", config, "smtp_mail_from"))
    receivers = needed("email_config", config, "to_emails")
    letter["To"] = ", ".join(one_line(each) for each in (receivers if isinstance(receivers, list) else [receivers]))
    letter["Message-ID"] = f"<{message.id}@orchestrator>"  # a repetition is known by it
    letter.set_content(message.details)
    return letter


def one_line(text: Any) -> str:
    return " ".join(str(text).split())


def mail_server(host: str, config: Mapping[str, Any]) -> smtplib.SMTP:
    """Connect, encrypt as the settings say, and log in if there is a password."""
    port = port_of(config)
    if config.get("smtp_ssl", False):
        context = ssl.create_default_context()
        server: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=guard.SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=guard.SECONDS)
    try:
        if config.get("smtp_starttls", True) and not config.get("smtp_ssl", False):
            server.starttls(context=ssl.create_default_context())
        if config.get("smtp_user") and config.get("smtp_password"):
            server.login(str(config["smtp_user"]), str(config["smtp_password"]))
    except BaseException:
        server.close()
        raise
    return server


def leave(server: smtplib.SMTP) -> None:
    """Say goodbye. What was taken is taken, whatever the server answers to that: it is not to go twice."""
    with suppress(OSError, smtplib.SMTPException):
        server.quit()
    server.close()


def port_of(config: Mapping[str, Any]) -> int:
    given = str(config.get("smtp_port") or 587)
    if not (given.isascii() and given.isdecimal() and 0 < int(given[:6]) < 65_536):
        field = "notification_config.email_config.smtp_port"
        raise Refusal(f"smtp_port is {given[:40]!r}, which is no port.", field=field, hint="Use 587, 465 or 25.")
    return int(given)
