"""Messages are forgotten after a season."""

from datetime import timedelta
from typing import Any

import pytest

from alerts import forgetting
from alerts.models import Channel, Delivery
from schedules.scheduler import FURTHER_DUTIES
from tests.alerts.telling import make_channel, make_delivery
from tests.factories import NOON

LATER = NOON + timedelta(days=90, seconds=1)


@pytest.fixture
def channel(db: None) -> Channel:
    return make_channel()


def test_what_has_ended_is_forgotten_after_ninety_days(channel: Channel) -> None:
    make_delivery(channel, sent_at=NOON)
    make_delivery(channel, given_up_at=NOON)
    waits = make_delivery(channel)
    young = make_delivery(channel, sent_at=NOON, created_at=NOON + timedelta(days=1))

    assert forgetting.forget(NOON + timedelta(days=90)) is None
    assert Delivery.objects.count() == 4
    forgetting.forget(LATER)

    assert set(Delivery.objects.all()) == {waits, young}


def test_many_are_forgotten_in_turns(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 2)
    for _ in range(3):
        make_delivery(channel, sent_at=NOON)

    assert forgetting.forget(LATER) == LATER + forgetting.SOON
    assert forgetting.forget(LATER) is None
    assert Delivery.objects.count() == 0


def test_there_is_nothing_to_it_when_nothing_is_old(channel: Channel, django_assert_num_queries: Any) -> None:
    make_delivery(channel, sent_at=NOON)

    with django_assert_num_queries(1):
        forgetting.forget(NOON)


def test_the_scheduler_does_it_every_hour() -> None:
    assert (forgetting.forget, timedelta(hours=1)) in FURTHER_DUTIES
