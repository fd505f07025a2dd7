"""Time does things to incidents too: snoozes end, reminders come, what a window muted is told after it."""

from datetime import timedelta

import pytest

from alerts import incidents
from alerts.models import AlertRule, Breach, Channel, Incident, Step
from runs.states import RunStatus
from schedules.days.maintenance import MaintenanceWindow, Scope
from tests.alerts.rules import begun, ends, make_incident, make_rule
from tests.factories import NOON, make_pipeline, make_run

pytestmark = pytest.mark.django_db
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def rule() -> AlertRule:
    """A rule that tells a channel, and tells it again each hour."""
    rule = make_rule(renotify_every=HOUR)
    rule.channels.add(Channel.objects.create(name="ops", kind="webhook", address="x", created_at=NOON))
    return rule


def steps() -> list[str]:
    return list(Incident.objects.get().changes.order_by("id").values_list("step", flat=True))


def test_it_is_told_again_each_hour_until_somebody_looks_after_it(rule: AlertRule) -> None:
    make_incident(rule)
    first, second = begun(), begun()
    for minute in range(0, 181, 30):
        first.look(NOON + minute * MINUTE)
        second.look(NOON + minute * MINUTE)
    assert steps() == [Step.OPENED, Step.RENOTIFIED, Step.RENOTIFIED, Step.RENOTIFIED]
    incidents.acknowledge(Incident.objects.get(), NOON + 3 * HOUR, "ada")
    first.look(NOON + 9 * HOUR)
    assert steps()[-1] == Step.ACKNOWLEDGED


def test_who_tells_nobody_reminds_nobody() -> None:
    make_incident(make_rule(renotify_every=HOUR))
    begun().look(NOON + 9 * HOUR)
    assert steps() == [Step.OPENED]


def test_a_snooze_ends_by_itself_and_it_is_told_again(rule: AlertRule) -> None:
    incidents.snooze(make_incident(rule), NOON, "ada", NOON + 4 * HOUR)
    evaluator = begun()
    evaluator.look(NOON + 3 * HOUR)
    assert steps() == [Step.OPENED, Step.SNOOZED]
    for _ in range(2):
        evaluator.look(NOON + 4 * HOUR)
    assert steps() == [Step.OPENED, Step.SNOOZED, Step.WOKEN, Step.RENOTIFIED]


def test_a_window_mutes_what_happens_in_it_and_it_is_told_once_the_window_is_over(rule: AlertRule) -> None:
    rule.renotify_every = None
    rule.save()
    etl = make_pipeline()
    MaintenanceWindow.objects.create(
        name="move", scope=Scope.PIPELINE, value="etl", starts_at=NOON, ends_at=NOON + HOUR
    )
    evaluator = begun()
    ends(make_run(etl), RunStatus.FAILED, NOON + 59 * MINUTE)
    evaluator.look(NOON + 59 * MINUTE)
    assert Breach.objects.get().muted_by == "move"
    assert Incident.objects.get().told_at is None
    evaluator.look(NOON + 61 * MINUTE)
    evaluator.look(NOON + 62 * MINUTE)
    assert steps() == [Step.OPENED, Step.RENOTIFIED]
    assert Incident.objects.get().changes.get(step=Step.RENOTIFIED).deliveries.count() == 1


def test_a_window_of_an_executor_keeps_reminders_back_too(rule: AlertRule) -> None:
    window = {"scope": Scope.EXECUTOR, "value": "local_python"}
    MaintenanceWindow.objects.create(name="move", starts_at=NOON, ends_at=NOON + 3 * HOUR, **window)
    evaluator = begun()
    ends(make_run(), RunStatus.FAILED, NOON + MINUTE)
    evaluator.look(NOON + 2 * HOUR)
    assert steps() == [Step.OPENED]
    evaluator.look(NOON + 4 * HOUR)
    assert steps() == [Step.OPENED, Step.RENOTIFIED]


def test_what_recovered_in_the_window_is_never_told(rule: AlertRule) -> None:
    MaintenanceWindow.objects.create(name="move", starts_at=NOON, ends_at=NOON + HOUR)
    evaluator = begun()
    ends(make_run(), RunStatus.FAILED, NOON + MINUTE)
    ends(make_run(), RunStatus.COMPLETED, NOON + 2 * MINUTE)
    evaluator.look(NOON + 3 * MINUTE)
    evaluator.look(NOON + 2 * HOUR)
    assert steps() == [Step.OPENED, Step.CLOSED]
    assert not Incident.objects.get().changes.filter(deliveries__isnull=False).exists()


def test_a_window_for_others_mutes_nothing(rule: AlertRule) -> None:
    MaintenanceWindow.objects.create(name="a", scope="tag", value="x", starts_at=NOON, ends_at=NOON + HOUR)
    MaintenanceWindow.objects.create(name="b", effect="hold_starts", starts_at=NOON, ends_at=NOON + HOUR)
    evaluator = begun()
    ends(make_run(), RunStatus.FAILED, NOON + MINUTE)
    evaluator.look(NOON + 2 * MINUTE)
    assert Breach.objects.get().muted_by == ""


def test_an_incident_whose_rule_is_gone_is_closed(rule: AlertRule) -> None:
    make_incident(rule)
    Breach.objects.all().delete()
    rule.delete()
    begun(NOON + HOUR)
    assert Incident.objects.get().close_reason == "Its rule was removed"
