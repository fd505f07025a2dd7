"""Messages that somebody asks for."""

import pytest

from alerts import trying
from alerts.models import Delivery
from pipelines.refusal import Refusal
from tests.alerts.telling import make_channel, make_delivery
from tests.factories import NOON


def test_a_test_says_who_asked_for_it_and_is_due_at_once(db: None) -> None:
    delivery = trying.send_test(make_channel("chat"), "ada", NOON)

    assert (delivery.event_type, delivery.next_try_at, delivery.state) == ("test", NOON, "waiting")
    assert delivery.title == "A test of the channel chat"
    assert delivery.body.startswith("ada asked for this")
    assert trying.send_test(make_channel("other"), "ada", NOON).pk != delivery.pk


def test_a_message_that_was_given_up_is_sent_again_as_a_new_one(db: None) -> None:
    failed = make_delivery(make_channel(), given_up_at=NOON, next_try_at=None, data={"x": 1}, tries=25)

    again = trying.send_again(failed, "ada", NOON)

    assert (again.title, again.channel, again.tries, again.next_try_at) == (failed.title, failed.channel, 0, NOON)
    assert again.data == {"x": 1, "again": {"of": str(failed.uuid), "by": "ada"}}
    assert again.uuid != failed.uuid
    failed.refresh_from_db()
    assert failed.state == "failed"


@pytest.mark.parametrize("fields", [{"sent_at": NOON}, {"tries": 1}])
def test_only_what_was_given_up_is_sent_again(db: None, fields: dict[str, object]) -> None:
    delivery = make_delivery(make_channel(), **fields)

    with pytest.raises(Refusal) as refusal:
        trying.send_again(delivery, "ada", NOON)

    assert refusal.value.code == "conflict"
    assert Delivery.objects.count() == 1


def test_asking_wakes_the_workers(
    db: None, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: object
) -> None:
    rings: list[tuple[str, ...]] = []
    monkeypatch.setattr("runs.bell.ring", lambda *ring: rings.append(ring))

    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        trying.send_test(make_channel(), "ada", NOON)

    assert rings == [("queue",)]
