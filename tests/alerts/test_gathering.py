"""Many incidents of a rule at once are told as one; each is still its own, and is over by itself."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from django.test import override_settings

from alerts import gathering, incidents
from alerts.evaluating import Evaluator
from alerts.models import AlertRule, Breach, Change, Delivery, Incident, Kind, Severity, Step
from alerts.watching import health
from runs.models import PipelineRun
from runs.states import RunStatus
from schedules.days.maintenance import MaintenanceWindow, Scope
from tests.alerts.rules import begun, ends, happens, make_rule
from tests.alerts.telling import make_channel
from tests.factories import NOON, make_pipeline, make_run

pytestmark = pytest.mark.django_db
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
MANY = 8
LATER = NOON + MINUTE


@pytest.fixture(autouse=True)
def quiet(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    AlertRule.objects.all().delete()
    monkeypatch.setattr(health.storage, "problems", lambda host: [])


@pytest.fixture
def rule(quiet: None) -> AlertRule:
    """A rule that tells a channel."""
    rule = make_rule()
    rule.channels.add(make_channel())
    return rule


def fail(numbers: Iterable[int], moment: datetime) -> list[PipelineRun]:
    """Have a run of each of these pipelines fail."""
    runs = [make_run(make_pipeline(f"load_{number}")) for number in numbers]
    for run in runs:
        ends(run, RunStatus.FAILED, moment, "no database")
    return runs


def complete(runs: Iterable[PipelineRun], moment: datetime) -> None:
    """Have a later run of each one's pipeline complete."""
    for run in runs:
        ends(make_run(run.pipeline), RunStatus.COMPLETED, moment)


def after_an_outage() -> tuple[Evaluator, Incident, list[PipelineRun]]:
    """Eight pipelines have failed, and that was seen in one look."""
    evaluator = begun()
    runs = fail(range(MANY), NOON + SECOND)
    evaluator.look(LATER)
    return evaluator, the_one(), runs


def the_one() -> Incident:
    return Incident.objects.get(members_count__gt=0)


def steps(incident: Incident) -> list[str]:
    return list(incident.changes.order_by("id").values_list("step", flat=True))


def told() -> list[str]:
    return list(Delivery.objects.order_by("id").values_list("title", flat=True))


# --- gathering ------------------------------------------------------------------------------------------------------


def test_many_at_once_are_told_as_one(rule: AlertRule) -> None:
    _, incident, _ = after_an_outage()

    assert incident.title == "8 pipelines failed since 12:00 UTC"
    assert told() == ["Warning: 8 pipelines failed since 12:00 UTC"]
    assert (incident.members.count(), Breach.objects.count()) == (MANY, MANY)
    assert {member.title for member in incident.members.all()} == {f"load_{number} failed" for number in range(MANY)}
    assert incident.opened_at == NOON + SECOND


def test_its_message_names_them_and_waits_a_moment_for_the_others(rule: AlertRule) -> None:
    _, incident, _ = after_an_outage()

    delivery = Delivery.objects.get()

    assert delivery.next_try_at == LATER + timedelta(seconds=10)
    for member in incident.members.all():
        assert f"- {member.title}: /incidents/{member.pk}/" in delivery.body
    assert delivery.data["incident"]["members"] == MANY


def test_a_message_names_the_first_of_very_many(rule: AlertRule) -> None:
    evaluator = begun()
    fail(range(23), NOON + SECOND)

    evaluator.look(LATER)

    assert Delivery.objects.get().body.count("\n- load_") == 20
    assert "\n- and 3 more\n" in Delivery.objects.get().body


def test_a_few_at_once_are_told_one_by_one(rule: AlertRule) -> None:
    evaluator = begun()
    fail(range(5), NOON + SECOND)

    evaluator.look(LATER)

    assert told() == [f"Warning: load_{number} failed" for number in range(5)]
    assert not Incident.objects.filter(members_count__gt=0).exists()


@pytest.mark.parametrize("above", [0, 50])
def test_the_installation_says_how_many_are_many(rule: AlertRule, above: int) -> None:
    evaluator = begun()
    fail(range(MANY), NOON + SECOND)

    with override_settings(ALERTS_GATHER_ABOVE=above):
        evaluator.look(LATER)

    assert len(told()) == MANY


def test_a_rule_may_want_each_told(rule: AlertRule) -> None:
    AlertRule.objects.update(gathers=False)
    evaluator = begun()
    fail(range(MANY), NOON + SECOND)

    evaluator.look(LATER)

    assert len(told()) == MANY


def test_those_that_come_one_by_one_within_the_minute_are_gathered_and_what_is_unsent_is_withdrawn(
    rule: AlertRule,
) -> None:
    evaluator = begun()
    for number in range(7):
        fail([number], NOON + number * 5 * SECOND)
        evaluator.look(NOON + number * 5 * SECOND)
        if number == 0:
            Delivery.objects.update(tries=1, sent_at=NOON)

    assert told() == ["Warning: load_0 failed", "Warning: 7 pipelines failed since 12:00 UTC"]
    assert the_one().members_count == 7


def test_those_that_come_one_by_one_in_a_longer_time_are_not(rule: AlertRule) -> None:
    evaluator = begun()
    for number in range(7):
        fail([number], NOON + number * 20 * SECOND)
        evaluator.look(NOON + number * 20 * SECOND)

    assert len(told()) == 7


def test_what_somebody_looks_after_already_is_left_alone(rule: AlertRule) -> None:
    evaluator = begun()
    fail(range(3), NOON + SECOND)
    evaluator.look(NOON + SECOND)
    incidents.acknowledge(Incident.objects.order_by("id")[0], NOON + 2 * SECOND, "ada")

    fail(range(3, 7), NOON + 3 * SECOND)
    evaluator.look(NOON + 3 * SECOND)

    assert the_one().members_count == 6
    assert Incident.objects.ungathered().count() == 2


def test_what_opens_while_it_goes_on_is_taken_in_and_told_in_the_message_that_waits(rule: AlertRule) -> None:
    rule.quiet_from, rule.quiet_until = (NOON - HOUR).time(), (NOON + 6 * HOUR).time()
    rule.save()
    evaluator, _, _ = after_an_outage()

    fail(range(MANY, 30), LATER + 5 * MINUTE)
    evaluator.look(LATER + 5 * MINUTE)
    evaluator.look(LATER + 30 * MINUTE)

    assert told() == ["Warning: 30 pipelines failed since 12:00 UTC"]
    assert Delivery.objects.get().data["incident"]["members"] == 30
    assert "8 pipelines" not in Delivery.objects.get().body
    assert steps(the_one()) == [Step.OPENED, Step.SEEN_AGAIN]


def test_what_was_taken_in_after_the_message_had_gone_is_told_ten_minutes_later_once(rule: AlertRule) -> None:
    evaluator, incident, _ = after_an_outage()
    other = begun(LATER)
    Delivery.objects.update(tries=1, sent_at=LATER)
    fail([MANY], LATER + MINUTE)

    for minute in range(2, 30):
        evaluator.look(LATER + minute * MINUTE)
        other.look(LATER + minute * MINUTE)

    assert told()[1:] == ["Now 9 pipelines failed since 12:00 UTC"]
    assert incident.changes.get(step=Step.GREW).at == LATER + 10 * MINUTE


def test_what_opens_long_after_is_told_by_itself(rule: AlertRule) -> None:
    evaluator, _, _ = after_an_outage()

    fail([MANY], LATER + 11 * MINUTE)
    evaluator.look(LATER + 11 * MINUTE)

    assert told()[1:] == ["Warning: load_8 failed"]


def test_many_long_after_are_another(rule: AlertRule) -> None:
    evaluator, _, _ = after_an_outage()

    fail(range(MANY, 2 * MANY), LATER + HOUR)
    evaluator.look(LATER + HOUR)

    assert told()[1:] == ["Warning: 8 pipelines failed since 13:01 UTC"]
    assert Incident.objects.filter(members_count=MANY).count() == 2


def test_blocks_of_one_pipeline_are_many_too(rule: AlertRule) -> None:
    rule.kind = Kind.BLOCK_FAILED
    rule.save()
    blocks = [f"block_{number}" for number in range(7)]
    evaluator, run = begun(), make_run(make_pipeline(blocks=[(name,) for name in blocks]))
    for name in blocks:
        happens(run, "block_failed", NOON + SECOND, block=name)

    evaluator.look(LATER)

    assert told() == ["Warning: 7 blocks of etl failed since 12:00 UTC"]


def test_every_kind_that_gathers_has_words_for_it() -> None:
    assert set(gathering.MANY) == set(Kind.values) - {Kind.UNHEALTHY}


def test_what_another_has_written_meanwhile_opens_nothing(rule: AlertRule, monkeypatch: pytest.MonkeyPatch) -> None:
    late = begun()
    _, incident, _ = after_an_outage()
    incidents.close(incident, LATER, "ada", "")
    monkeypatch.setattr(gathering, "has_news", lambda *_: True)

    late.look(LATER)

    assert Incident.objects.count() == MANY + 1


# --- recovery -------------------------------------------------------------------------------------------------------


def test_members_recover_one_by_one_and_it_is_over_with_the_last(rule: AlertRule) -> None:
    evaluator, incident, runs = after_an_outage()
    Delivery.objects.update(tries=1, sent_at=LATER)

    complete(runs[1:], LATER + MINUTE)
    evaluator.look(LATER + MINUTE)
    incident.refresh_from_db()
    assert (incident.closed_at, incident.members.open().count()) == (None, 1)

    complete(runs[:1], LATER + HOUR)
    evaluator.look(LATER + HOUR)
    incident.refresh_from_db()
    assert (incident.closed_at, incident.close_reason) == (LATER + HOUR, "All 8 are over")
    assert told()[1:] == ["Recovered after 1 h 1 min: 8 pipelines failed since 12:00 UTC"]


def test_what_fails_again_after_its_recovery_is_an_incident_of_its_own(rule: AlertRule) -> None:
    evaluator, incident, runs = after_an_outage()
    complete(runs[:1], LATER + MINUTE)
    evaluator.look(LATER + MINUTE)

    ends(make_run(runs[0].pipeline), RunStatus.FAILED, LATER + HOUR)
    evaluator.look(LATER + HOUR)

    assert told()[1:] == ["Warning: load_0 failed"]
    assert Incident.objects.open().ungathered().count() == 2


def test_a_member_that_is_seen_again_tells_nothing(rule: AlertRule) -> None:
    evaluator, incident, runs = after_an_outage()

    ends(make_run(runs[0].pipeline), RunStatus.FAILED, LATER + HOUR)
    evaluator.look(LATER + HOUR)

    assert len(told()) == 1
    assert incident.members.order_by("id")[0].breaches_count == 2


def test_a_rule_that_is_deleted_ends_all_of_it(rule: AlertRule) -> None:
    evaluator, incident, _ = after_an_outage()

    rule.delete()
    evaluator.look(LATER + MINUTE)

    assert not Incident.objects.open().exists()


# --- what people do -------------------------------------------------------------------------------------------------


def test_who_acknowledges_it_acknowledges_all_and_what_comes_later_too(rule: AlertRule) -> None:
    evaluator, incident, _ = after_an_outage()

    incidents.acknowledge(incident, LATER, "ada")
    fail([MANY], LATER + MINUTE)
    evaluator.look(LATER + MINUTE)

    assert incident.members.filter(acknowledged_by="ada").count() == MANY + 1
    assert Change.objects.filter(step=Step.ACKNOWLEDGED, by="ada").count() == MANY + 1
    assert told()[1:] == ["Acknowledged by ada: 9 pipelines failed since 12:00 UTC"]
    assert Incident.objects.loud(LATER).count() == 0


def test_it_is_snoozed_woken_and_closed_with_all_of_it(rule: AlertRule) -> None:
    _, incident, _ = after_an_outage()

    incidents.snooze(incident, LATER, "ada", LATER + HOUR)
    assert incident.members.filter(snoozed_until=LATER + HOUR).count() == MANY
    incidents.wake(incident, LATER, "ada")
    assert incident.members.filter(snoozed_until=None).count() == MANY
    incidents.close(incident, LATER, "ada", "the database is back")

    assert incident.members.filter(closed_at=LATER, close_reason="the database is back").count() == MANY


def test_the_last_member_that_is_closed_by_hand_closes_it(rule: AlertRule) -> None:
    _, incident, _ = after_an_outage()

    for member in incident.members.all():
        incidents.close(member, LATER + MINUTE, "ada", "")

    incident.refresh_from_db()
    assert incident.closed_at == LATER + MINUTE


def test_a_snooze_that_ends_tells_of_it_and_not_of_its_members(rule: AlertRule) -> None:
    evaluator, incident, _ = after_an_outage()
    incidents.snooze(incident, LATER, "ada", LATER + HOUR)

    evaluator.look(LATER + HOUR)

    assert told()[1:] == ["Still open after 1 h 1 min: 8 pipelines failed since 12:00 UTC"]
    assert not Incident.objects.open().exclude(snoozed_until=None).exists()


def test_all_of_it_is_retried_but_what_is_well_again(rule: AlertRule) -> None:
    evaluator, incident, runs = after_an_outage()
    complete(runs[:2], LATER + MINUTE)
    evaluator.look(LATER + MINUTE)
    incident.refresh_from_db()

    assert list(incidents.failed_runs(incident)) == runs[2:]
    assert list(incidents.breaches_of(incident)) == list(Breach.objects.all())


# --- time -----------------------------------------------------------------------------------------------------------


def test_reminders_are_of_all_of_it(rule: AlertRule) -> None:
    rule.renotify_every = HOUR
    rule.save()
    evaluator, incident, _ = after_an_outage()

    evaluator.look(LATER + HOUR)

    assert steps(incident) == [Step.OPENED, Step.RENOTIFIED]
    assert len(told()) == 2


def test_it_gets_worse_when_one_of_them_does(rule: AlertRule) -> None:
    evaluator, incident, _ = after_an_outage()
    AlertRule.objects.update(severity=Severity.CRITICAL)

    fail([MANY], LATER + MINUTE)
    evaluator.look(LATER + MINUTE)

    assert told()[1:] == ["Now critical: 9 pipelines failed since 12:00 UTC"]


def test_what_a_window_mutes_is_gathered_and_told_once_when_the_window_is_over(rule: AlertRule) -> None:
    MaintenanceWindow.objects.create(name="move", scope=Scope.ALL, starts_at=NOON, ends_at=NOON + HOUR)
    evaluator, incident, _ = after_an_outage()
    evaluator.look(NOON + HOUR - SECOND)
    assert told() == []

    evaluator.look(NOON + HOUR + 10 * SECOND)
    evaluator.look(NOON + HOUR + 20 * SECOND)

    assert [title.partition(":")[2] for title in told()] == [" 8 pipelines failed since 12:00 UTC"]


def test_a_window_of_some_of_them_does_not_mute_it(rule: AlertRule) -> None:
    MaintenanceWindow.objects.create(
        name="move", scope=Scope.PIPELINE, value="load_7", starts_at=NOON, ends_at=NOON + HOUR
    )

    after_an_outage()

    assert len(told()) == 1
