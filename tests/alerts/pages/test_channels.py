"""The pages of channels: addresses go in and are not told again; tests, keys, what went wrong."""

import re
from typing import Any

import pytest
from django.test import Client

from alerts import addresses, channel_changes
from alerts.models import Channel, ChannelKind, Delivery
from tests.alerts.facts import make_channel, make_delivery, rule_of
from tests.factories import NOON, text_of

pytestmark = pytest.mark.django_db
NEW = "/incidents/channels/new/"
SECRET = "QMQFqWyxoz9DPX8C"
NTFY = {"name": "ops", "kind": "apprise", "address": f"ntfys://:{SECRET}@ntfy.example.com/alerts", "is_active": "on"}
HOOK = {"name": "pager", "kind": "webhook", "address": f"https://hooks.example.com/{SECRET}", "is_active": "on"}


def made(fields: dict[str, Any] = HOOK) -> Channel:
    return channel_changes.create({**fields, "is_active": True}, NOON)[0]


@pytest.mark.parametrize("fields", [NTFY, HOOK])
def test_an_address_is_kept_encrypted_and_shown_masked(page: Client, fields: dict[str, Any]) -> None:
    answer = page.post(NEW, fields, follow=True)
    channel = Channel.objects.get()

    assert answer.status_code == 200
    assert addresses.address_of(channel) == fields["address"]
    assert SECRET not in channel.address + channel.shown_address
    for path in ("", f"{channel.pk}/", f"{channel.pk}/edit/"):
        text = text_of(page.get(f"/incidents/channels/{path}"))
        assert SECRET not in text
        assert channel.name in text


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "taken"}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"kind": "carrier pigeon"}, "kind"),
        ({"address": ""}, "address"),
        ({"address": "file:///etc/passwd"}, "address"),
        ({"address": "no address"}, "address"),
        ({"address": "ntfys://" + "x" * 2000}, "address"),
        ({"kind": "webhook", "address": "slack://a/b/c"}, "address"),
        ({"kind": "webhook", "address": "https://user:password@example.com/"}, "address"),
    ],
)
def test_what_cannot_be_sent_to_is_refused_beside_its_field(page: Client, sent: dict[str, Any], field: str) -> None:
    make_channel("taken")

    answer = page.post(NEW, {**NTFY, **sent})

    assert answer.status_code == 422
    assert answer.context["form"].errors[field]
    assert SECRET not in text_of(answer)
    assert Channel.objects.count() == 1


def test_the_key_of_a_webhook_is_shown_once_and_rotated_by_way_of_two(page: Client) -> None:
    first = re.search(r"whsec_[\w+/=]+", text_of(page.post(NEW, HOOK)))
    channel = Channel.objects.get()
    address = f"/incidents/channels/{channel.pk}/"

    second = re.search(r"whsec_[\w+/=]+", text_of(page.post(f"{address}rotate/")))
    channel.refresh_from_db()

    assert first
    assert second
    assert addresses.signing_keys_of(channel) == [second[0], first[0]]
    assert "whsec_" not in text_of(page.get(address))
    page.post(f"{address}retire/")
    channel.refresh_from_db()
    assert addresses.signing_keys_of(channel) == [second[0]]


def test_a_service_has_no_key(page: Client) -> None:
    channel = made(NTFY)

    for verb in ("rotate", "retire"):
        text = text_of(page.post(f"/incidents/channels/{channel.pk}/{verb}/", follow=True))
        assert "Only the messages of a webhook are signed." in text


def test_a_channel_is_renamed_without_its_address(page: Client) -> None:
    channel = made()

    page.post(f"/incidents/channels/{channel.pk}/edit/", {"name": "night pager", "kind": "apprise", "address": ""})

    channel.refresh_from_db()
    assert (channel.name, channel.kind, channel.is_active) == ("night pager", ChannelKind.WEBHOOK, False)
    assert addresses.address_of(channel) == HOOK["address"]


def test_a_new_address_takes_the_old_problem_away(page: Client) -> None:
    channel = made()
    Channel.objects.update(problem="410 Gone", is_active=False)

    page.post(f"/incidents/channels/{channel.pk}/edit/", {**HOOK, "address": "https://other.example.com/x"})

    channel.refresh_from_db()
    assert channel.problem == ""
    assert channel.shown_address.startswith("https://other.example.com")


def test_a_wrong_change_keeps_what_there_was(page: Client) -> None:
    channel = made()

    answer = page.post(f"/incidents/channels/{channel.pk}/edit/", {**HOOK, "address": "dbus://"})

    assert answer.status_code == 422
    channel.refresh_from_db()
    assert addresses.address_of(channel) == HOOK["address"]


def test_a_test_is_written_and_shown_on_the_live_page(page: Client) -> None:
    channel = made()
    address = f"/incidents/channels/{channel.pk}/"

    assert "A test is on its way" in text_of(page.post(f"{address}test/", follow=True))

    delivery = Delivery.objects.get()
    assert (delivery.event_type, delivery.channel) == ("test", channel)
    live = text_of(page.get(address, headers={"HX-Target": "live"}))
    assert f'id="delivery-{delivery.pk}"' in live
    assert live.lstrip().startswith('<div id="live" data-live')


def test_the_page_tells_problems_rules_and_the_last_messages_as_text(page: Client) -> None:
    channel = made()
    Channel.objects.update(problem="503 <b>down</b>", last_failed_at=NOON)
    rule_of().channels.add(channel)
    make_delivery(channel=channel, title="etl failed", last_error="503", tries=3)

    for path in ("", f"{channel.pk}/"):
        text = text_of(page.get(f"/incidents/channels/{path}"))
        assert "503 &lt;b&gt;down" in text
        assert "in trouble" in text
    assert "A run failed" in text
    assert "etl failed" in text


def test_a_channel_is_deleted_and_its_rules_stay(page: Client) -> None:
    channel = made()
    rule_of().channels.add(channel)

    page.post(f"/incidents/channels/{channel.pk}/delete/")

    assert not rule_of().channels.exists()
    assert page.get(f"/incidents/channels/{channel.pk}/").status_code == 404


def test_without_channels_the_list_says_what_one_is_for(page: Client) -> None:
    assert "There is no channel yet." in text_of(page.get("/incidents/channels/"))


def test_a_channel_whose_keys_are_gone_can_still_be_looked_at_and_mended(page: Client) -> None:
    channel = made()
    Channel.objects.update(address="stored with another key", signing_key="likewise")

    for path in ("", f"{channel.pk}/", f"{channel.pk}/edit/"):
        assert page.get(f"/incidents/channels/{path}").status_code == 200
    page.post(f"/incidents/channels/{channel.pk}/rotate/")

    channel.refresh_from_db()
    assert len(addresses.signing_keys_of(channel)) == 1


def test_a_message_that_was_given_up_is_sent_again_and_no_other(page: Client) -> None:
    channel = made()
    failed = make_delivery(channel=channel, given_up_at=NOON, tries=9)
    sent = make_delivery(channel=channel, sent_at=NOON)

    again = text_of(page.post(f"/incidents/deliveries/{failed.pk}/resend/", follow=True))
    refused = text_of(page.post(f"/incidents/deliveries/{sent.pk}/resend/", follow=True))

    assert "It is sent once more" in again
    assert "was sent" in refused
    assert Delivery.objects.count() == 3
    assert page.post("/incidents/deliveries/4711/resend/").status_code == 404
