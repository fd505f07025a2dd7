"""Messages through apprise, to servers on this machine."""

import email
import email.policy
import logging
import subprocess
import sys

import pytest

from alerts.sending import apprise_urls
from alerts.sending.outcomes import Outcome
from tests.alerts.receivers import Mailbox, Receiver


def send(url: str, *, allow_private: bool = True, is_critical: bool = False) -> Outcome:
    return apprise_urls.send(url, "etl failed", "no rows", is_critical=is_critical, allow_private=allow_private)


def test_a_service_is_told_title_text_and_how_bad_it_is(server: Receiver) -> None:
    assert send(f"json://127.0.0.1:{server.port}/hook").is_sent
    assert send(f"json://127.0.0.1:{server.port}/hook", is_critical=True).is_sent

    first, second = (got.json for got in server.got)
    assert (first["title"], first["message"], first["type"]) == ("etl failed", "no rows", "warning")
    assert second["type"] == "failure"


def test_mail_is_sent(mail: Mailbox) -> None:
    url = f"mailto://127.0.0.1:{mail.port}?from=ops@example.org&to=ada@example.org&mode=insecure&smtp=127.0.0.1"

    assert send(url) == Outcome()
    assert mail.letters[0].rcpt_tos == ["ada@example.org"]
    assert b"Subject: etl failed" in mail.letters[0].content


def test_mail_and_chats_read_a_text_as_it_is_written(mail: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Run 1: <img src=http://evil.example/x> *x*\nSince noon."
    url = f"mailto://127.0.0.1:{mail.port}?from=ops@example.org&to=ada@example.org&mode=insecure&smtp=127.0.0.1"
    assert apprise_urls.send(url, "t", text, is_critical=False, allow_private=True).is_sent
    letter = email.message_from_bytes(mail.letters[0].content, policy=email.policy.default)
    parts = [part.get_content() for part in letter.walk() if part.get_content_maintype() == "text"]
    assert parts[0].splitlines() == text.splitlines()
    assert not any("<img" in part for part in parts[1:])

    telegram = apprise_urls.service_of("tgram://123456789:abcdefg_hijklmnop/12315544/")
    found = apprise_urls.as_text(telegram, "<b>t</b>", text)
    assert "<img" not in found["body"]
    assert "<b>" not in found["title"]


def test_why_not_is_told_with_secrets_masked(server: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    server.answer(500)

    with caplog.at_level(logging.DEBUG):
        error = send(f"json://ada:correct-horse@127.0.0.1:{server.port}/secret-path").error

    assert "Failed to send JSON POST notification" in error
    assert "correct-horse" not in error
    assert "correct-horse" not in caplog.text


def test_what_a_service_does_wrong_is_told_and_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        title_maxlen = 250

        def resolve_format(self, _: object) -> str:
            return "text"

        def notify(self, **_: object) -> bool:
            raise KeyError("token correct-horse is bad")

    monkeypatch.setattr(apprise_urls, "service_of", lambda _: Broken())

    assert send("json://x:correct-horse@localhost").error == "KeyError: 'token *** is bad'"


def test_an_address_that_nothing_can_be_sent_to_is_given_up() -> None:
    assert send("file:///etc/passwd").is_final
    assert send("slack://bogus").is_final


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433"])
def test_a_private_server_hears_nothing(server: Receiver, host: str) -> None:
    outcome = send(f"json://{host}:{server.port}/", allow_private=False)

    assert "not an address of the internet" in outcome.error
    assert outcome.is_final
    assert server.got == []
    assert send(f"json://{host}:{server.port}/").is_sent or host == "2130706433"


def test_a_private_mail_server_hears_nothing(mail: Mailbox) -> None:
    url = f"mailto://127.0.0.1:{mail.port}?from=ops@example.org&to=ada@example.org&mode=insecure&smtp=127.0.0.1"

    assert send(url, allow_private=False).is_final
    assert mail.letters == []


def test_redirects_are_not_followed(server: Receiver) -> None:
    server.answer(307, 200, Location=f"{server.url}/elsewhere")

    assert not send(f"json://127.0.0.1:{server.port}/").is_sent
    assert len(server.got) == 1


def test_apprise_is_not_loaded_before_it_is_needed() -> None:
    code = "import sys, alerts.sending.apprise_urls; print('apprise' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
