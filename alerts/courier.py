"""The courier: sends what is due, in threads of its own beside the workers' broker, so that nothing waits for it.

A message is claimed by one conditional UPDATE that puts `next_try_at` off (a lease) and counts the try; whoever dies
in the middle leaves a message that is due again when the lease ends. So each is sent at least once, with the same
uuid each time.
"""

import logging
import os
import random
import threading
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connections
from django.db.models import F, Q, QuerySet

from alerts import addresses, notification_config
from alerts.models import Channel, ChannelKind, Delivery, Severity
from alerts.models.telling import TEST
from alerts.sending import apprise_urls, patience, webhooks
from alerts.sending.outcomes import Outcome
from pipelines.refusal import Refusal
from runs import bell, clock
from runs.masking import mask_text
from runs.models import Worker, WorkerKind

logger = logging.getLogger(__name__)
LOOK_EVERY = 0.5  # seconds
HANDS = 8  # messages on their way at a time, each to another channel
PATIENCE = 60.0  # seconds that a try may take in all, also with a server that sends a byte now and then
LEASE = timedelta(minutes=2)  # longer than any try takes: while it holds, nobody sends the message a second time
# For a quarter of an hour so often that who waits hears within 30 s that a server is back; then less, the last again.
SECONDS = (10, *[25] * 34, 120, 600, 1800, 3600, 7200, 14_400)
PAUSES = [timedelta(seconds=seconds) for seconds in SECONDS]
JITTER = 0.2
GIVE_UP_AFTER, LEAST_TRIES = timedelta(days=3), 3
NOT_SENT = Q(sent_at=None, given_up_at=None)
Lane = tuple[int | None, str, str]  # whatever is wrong with one message of a lane is wrong with all of them
chance = random.SystemRandom()


def look() -> None:
    """Start sending if something is due. For the workers' broker: returns at once, and never raises."""
    try:
        CREW.look()
    except DatabaseError:
        return  # the broker tells of it, and looks again


def stand_in(moment: datetime) -> None:
    """Send from the scheduler's process while no worker is there to do it."""
    if Delivery.objects.due(moment).exists() and not is_anybody_at_work(moment):
        CREW.look()


def is_anybody_at_work(moment: datetime) -> bool:
    return Worker.objects.alive(moment).filter(kind=WorkerKind.WORKER).exists()


class Crew:
    """The hands of this process: threads that end when nothing is due."""

    def __init__(self) -> None:
        self.start_over()

    def start_over(self) -> None:
        self.lock = threading.Lock()
        self.busy: set[Lane] = set()
        self.hands = 0
        self.looked_at = float("-inf")

    def look(self) -> None:
        if time.monotonic() - self.looked_at < LOOK_EVERY or self.hands >= HANDS:
            return
        self.looked_at = time.monotonic()
        if self.open(clock.now()).exists():
            self.grow()

    def grow(self) -> None:
        """Send by one more hand, unless there are enough."""
        with self.lock:
            if self.hands >= HANDS:
                return
            self.hands += 1
        try:
            threading.Thread(target=self.work, name="courier", daemon=True).start()
        except RuntimeError as error:  # this machine has no room for a thread now: the next look tries again
            logger.warning("messages wait: %s", error)
            with self.lock:
                self.hands -= 1

    def work(self) -> None:
        """Be one hand: a thread's life."""
        try:
            self.send_all()
        except DatabaseError as error:
            logger.warning("messages wait for the database: %s", (str(error).strip() or "it is away").splitlines()[0])
        except Exception:  # the end of a thread
            logger.exception("the courier stumbled")
        finally:
            connections.close_all()
            with self.lock:
                self.hands -= 1

    def send_all(self) -> int:
        """Send one message after the other, until nothing is due that nobody is at; return how many were tried."""
        tried = 0
        while (delivery := self.claim(clock.now())) is not None:
            tried += 1
            self.grow_if_more()
            try:
                settle(delivery, attempt(delivery, clock.now()), clock.now())
                bell.ring("live", f"incident {delivery.data.get('incident', {}).get('id', 0)}")
            finally:
                self.release(delivery)
        return tried

    def grow_if_more(self) -> None:
        if self.hands < HANDS and self.open(clock.now()).exists():
            self.grow()

    def open(self, moment: datetime) -> QuerySet[Delivery]:
        """What is due and goes where no hand of this process is at work: a server that hangs holds one hand."""
        return apart_from(list(self.busy), Delivery.objects.due(moment))

    def claim(self, moment: datetime) -> Delivery | None:
        with self.lock:
            for delivery in self.open(moment)[:20]:
                if claim(delivery, moment):
                    self.busy.add(lane_of(delivery))
                    return delivery
        return None

    def release(self, delivery: Delivery) -> None:
        with self.lock:
            self.busy.discard(lane_of(delivery))


CREW = Crew()
os.register_at_fork(after_in_child=CREW.start_over)  # its threads are not in the copy


def lane_of(delivery: Delivery) -> Lane:
    return (delivery.channel_id, delivery.service, delivery.pipeline_uuid)


def apart_from(lanes: list[Lane], found: QuerySet[Delivery]) -> QuerySet[Delivery]:
    if channels := [channel for channel, _, _ in lanes if channel is not None]:
        found = found.exclude(channel__in=channels)
    for channel, service, pipeline in lanes:
        if channel is None:
            found = found.exclude(channel=None, service=service, pipeline_uuid=pipeline)
    return found


# --- one message ----------------------------------------------------------------------------------------------------


def claim(delivery: Delivery, moment: datetime) -> bool:
    """Take a due message for one try; False if somebody else has."""
    held = Delivery.objects.filter(NOT_SENT, pk=delivery.pk, tries=delivery.tries, next_try_at=delivery.next_try_at)
    if not held.update(next_try_at=moment + LEASE, tries=F("tries") + 1):
        return False
    delivery.tries += 1
    return True


def attempt(delivery: Delivery, moment: datetime, seconds: float = PATIENCE) -> Outcome:
    """Send a claimed message; return how that went, which the caller settles."""
    with patience.at_most(seconds) as time_limit:
        outcome = tried(delivery, moment)
    if time_limit.is_over and not outcome.is_sent:
        return Outcome(error=f"It was not done within {seconds:g} s: the server is too slow.")
    return outcome


def tried(delivery: Delivery, moment: datetime) -> Outcome:
    try:
        return hand_over(delivery, moment)
    except Refusal as refusal:
        return Outcome(error=str(refusal), is_final=True)
    except DatabaseError:
        raise
    except Exception as error:  # a mistake of ours is told where people look for messages, too
        logger.exception("delivery %s could not be sent", delivery.pk)
        return Outcome(error=f"It could not be sent ({type(error).__name__}); the log of the workers says more.")


def hand_over(delivery: Delivery, moment: datetime) -> Outcome:
    allow_private = settings.ALERTS_ALLOW_PRIVATE_ADDRESSES
    channel = delivery.channel
    if channel is None:
        return notification_config.send(delivery, moment)
    if not channel.is_active and delivery.event_type != TEST:
        return Outcome(error="The channel was switched off.", is_final=True)
    url = addresses.address_of(channel)
    if channel.kind == ChannelKind.WEBHOOK:
        keys = addresses.signing_keys_of(channel)
        outcome = webhooks.send(delivery, url, keys, moment, allow_private=allow_private)
    else:
        is_critical = delivery.data.get("incident", {}).get("severity") == Severity.CRITICAL
        outcome = apprise_urls.send(
            url, delivery.title, delivery.body, is_critical=is_critical, allow_private=allow_private
        )
    return masked(outcome, url)


def masked(outcome: Outcome, url: str) -> Outcome:
    error = mask_text(outcome.error, apprise_urls.secrets_of(url))
    return Outcome(error, outcome.retry_after, outcome.is_final, outcome.closes_channel)


def settle(delivery: Delivery, outcome: Outcome, moment: datetime) -> None:
    """Write down how a try went, unless the lease ended and somebody else tries it now."""
    held = Delivery.objects.filter(NOT_SENT, pk=delivery.pk, tries=delivery.tries)
    channel = Channel.objects.filter(pk=delivery.channel_id or 0)
    if outcome.is_sent:
        if held.update(sent_at=moment, next_try_at=None, last_error=""):
            channel.update(last_sent_at=moment, problem="")
        return
    error = outcome.error.replace("\0", "�")[:500]
    next_try = None if is_hopeless(delivery, outcome, moment) else moment + pause(delivery.tries, outcome)
    given_up = moment if next_try is None else None
    if not held.update(given_up_at=given_up, next_try_at=next_try, last_error=error):
        return
    channel.filter(is_active=True).update(last_failed_at=moment, problem=error)  # else it says why it was switched off
    if outcome.closes_channel:
        channel.update(is_active=False, problem=f"Switched off: {error}"[:500])
    if next_try is not None:  # the rest of its lane waits as long: nobody's hands are full of one broken server
        lane = Delivery.objects.filter(NOT_SENT, next_try_at__lte=next_try, **lane_fields(delivery))
        lane.exclude(pk=delivery.pk).exclude(event_type=TEST).update(next_try_at=next_try)


def lane_fields(delivery: Delivery) -> dict[str, object]:
    channel, service, pipeline = lane_of(delivery)
    return {"channel": channel} if channel else {"channel": None, "service": service, "pipeline_uuid": pipeline}


def is_hopeless(delivery: Delivery, outcome: Outcome, moment: datetime) -> bool:
    """Tell whether to stop trying: it cannot help, or it was tried for days. A test is for somebody who looks now."""
    if outcome.is_final or delivery.event_type == TEST:
        return True
    return delivery.tries >= LEAST_TRIES and moment - delivery.created_at >= GIVE_UP_AFTER


def pause(tries: int, outcome: Outcome) -> timedelta:
    """Return how long to wait after so many tries, never the same twice, and at least as long as was asked for."""
    usual = PAUSES[min(tries, len(PAUSES)) - 1] * chance.uniform(1 - JITTER, 1 + JITTER)
    return max(usual, outcome.retry_after or usual)
