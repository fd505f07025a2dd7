"""Addresses of channels: what is accepted, what is stored, what is seen of them."""

import pytest
from django.test import override_settings

from alerts import addresses
from alerts.models import Channel, ChannelKind
from pipelines.refusal import Refusal
from tests.alerts.telling import KEY, make_channel

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


def webhook(url: str) -> Channel:
    channel = Channel(name="hook", kind=ChannelKind.WEBHOOK)
    addresses.set_address(channel, url)
    return channel


def service(url: str) -> Channel:
    channel = Channel(name="service", kind=ChannelKind.APPRISE)
    addresses.set_address(channel, url)
    return channel


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        (SLACK, "slack://T…2/A…D/T…Q"),
        ("json://localhost:8080/secret-path?token=4711", "json://localhost/…"),
        ("mailtos://ada:correct-horse@example.com?to=b@example.org", "mailtos://ada:****@example.com/b@example.org"),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", "tgram://1…p/12315544"),
    ],
)
def test_an_address_is_kept_encrypted_and_shown_masked(url: str, seen: str) -> None:
    channel = service(url)

    assert channel.shown_address == seen
    assert url not in channel.address
    assert addresses.address_of(channel) == url


def test_a_webhook_shows_its_host_and_has_a_key_from_the_start() -> None:
    channel = webhook("https://hooks.example.org:8443/T0/B1?key=4711")

    assert channel.shown_address == "https://hooks.example.org:8443/…"
    [key] = addresses.signing_keys_of(channel)
    assert key.startswith("whsec_")
    assert key not in channel.signing_key


def test_rows_cannot_swap_their_addresses_unseen() -> None:
    one, other = webhook("https://good.example.org/a"), webhook("https://evil.example.org/a")
    one.address = other.address

    with pytest.raises(Refusal, match="cannot be read"):
        addresses.address_of(one)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "exec://reboot",
        "dbus://",
        "syslog://",
        "rsyslog://localhost",
        "windows://",
        "macosx://",
        "gnome://",
        "kde://",
        "mqtt://localhost/topic",
        "python://x",
        "slack",
        "://x",
        "discord://1234567890/abcdefgh?template=/etc/passwd",
        "mailto://a:b@example.com?pgp=yes&pgpkey=/etc/shadow",
        "fcm://project/device?keyfile=/etc/passwd",
        "json://localhost?retry=100",
        "slack://bogus",
    ],
)
def test_services_of_this_machine_and_its_files_are_refused(url: str) -> None:
    with pytest.raises(Refusal) as refusal:
        service(url)

    assert refusal.value.field == "address"
    assert refusal.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.org/x",
        "file:///etc/passwd",
        "gopher://example.org",
        "https://",
        "https:///x",
        "http://[::1",
        "https://example.org:99999/",
        "https://example.org:0/",
        "https://ada:secret@example.org/",
        "https://exam ple.org/",
        "https://example.org/\nx",
        "https://example.org/" + "x" * 2000,
    ],
)
def test_a_webhook_goes_to_a_web_server_or_is_refused(url: str) -> None:
    with pytest.raises(Refusal) as refusal:
        webhook(url)

    assert refusal.value.field == "address"


@override_settings(ALERTS_ALLOW_PRIVATE_ADDRESSES=False)
@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "localhost", "[fd00::1]"])
def test_a_private_address_is_refused_when_it_is_entered(host: str) -> None:
    with pytest.raises(Refusal, match="not an address of the internet") as refusal:
        webhook(f"https://{host}/hook")

    assert "ALERTS_ALLOW_PRIVATE_ADDRESSES" in refusal.value.hint


@override_settings(ALERTS_ALLOW_PRIVATE_ADDRESSES=False)
def test_a_port_of_no_web_server_is_refused_when_it_is_entered() -> None:
    with pytest.raises(Refusal, match="Port 22"):
        webhook("https://hooks.example.org:22/")


@override_settings(ALERTS_ALLOW_PRIVATE_ADDRESSES=False)
def test_a_public_address_is_accepted() -> None:
    assert webhook("https://93.184.215.14/hook").shown_address == "https://93.184.215.14/…"


def test_a_key_is_rotated_with_both_valid_meanwhile() -> None:
    channel = webhook("https://hooks.example.org/a")
    addresses.set_signing_key(channel, KEY)

    second = addresses.rotate_signing_key(channel)
    assert addresses.signing_keys_of(channel) == [second, KEY]
    third = addresses.rotate_signing_key(channel)
    assert addresses.signing_keys_of(channel) == [third, second]
    addresses.retire_old_key(channel)
    assert addresses.signing_keys_of(channel) == [third]


def test_a_key_that_cannot_be_read_is_replaced_by_a_new_one() -> None:
    channel = webhook("https://hooks.example.org/a")
    channel.signing_key = "stored with a key that is gone"

    with pytest.raises(Refusal, match="cannot be read"):
        addresses.signing_keys_of(channel)
    key = addresses.rotate_signing_key(channel)

    assert addresses.signing_keys_of(channel) == [key]


@pytest.mark.parametrize("key", ["", "whsec_", "whsec_abc", "whsec_c2hvcnQ=", KEY.removeprefix("whsec_"), "whsec_ä"])
def test_what_is_no_signing_key_is_refused(key: str) -> None:
    with pytest.raises(Refusal) as refusal:
        addresses.set_signing_key(webhook("https://hooks.example.org/a"), key)

    assert refusal.value.field == "signing_key"


def test_a_stored_channel_is_read_back(db: None) -> None:
    make_channel("chat", SLACK)

    channel = Channel.objects.get(name="chat")

    assert addresses.address_of(channel) == SLACK
    assert addresses.signing_keys_of(channel) == []
