"""What the pages of triggers say in each of their states, and what the questions before a deed promise."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from runs.models import Origin
from runs.states import RunStatus
from schedules.models import Decision, Occurrence, PipelineSchedule
from tests.factories import NOON, make_backfill, make_pipeline, make_run, make_schedule, text_of

pytestmark = pytest.mark.django_db


def seen(page: Client, address: str) -> str:
    return " ".join(text_of(page.get(address)).split())


def detail(page: Client, schedule: PipelineSchedule, query: str = "") -> str:
    return seen(page, f"/schedules/{schedule.pk}/{query}")


def occurrence(schedule: PipelineSchedule, at: datetime = NOON, **fields: Any) -> Occurrence:
    defaults = {"scheduled_for": at, "decision": Decision.STARTED, "decided_at": at + timedelta(seconds=2)}
    return Occurrence.objects.create(pipeline=schedule.pipeline, schedule=schedule, **defaults | fields)


# --- a trigger --------------------------------------------------------------------------------------------------------


def test_a_trigger_that_was_never_due_and_never_ran_says_both(page: Client) -> None:
    text = detail(page, make_schedule())

    assert "It has not been due yet." in text
    assert "No run yet." in text
    assert "<dt>Switched on</dt><dd>never</dd>" in text


def test_a_trigger_that_is_called_shows_the_call_and_has_no_moments(page: Client) -> None:
    schedule = make_schedule(schedule_type="api", schedule_interval="", token_hash="x" * 64)

    text = detail(page, schedule)

    assert "A trigger that is called has no moments; its runs are below." in text
    assert f"curl -X POST http://testserver/api/pipeline_schedules/{schedule.pk}/pipeline_runs" in text
    assert f"A new token for {schedule.name}?" in text
    assert "what calls with it is refused until it has the new one." in text
    assert "<h2>Next times</h2>" not in text


def test_a_trigger_without_a_token_gets_its_first_one_without_being_asked(page: Client) -> None:
    text = detail(page, make_schedule(schedule_type="api", schedule_interval="", token_hash=""))

    assert "A new token for" not in text
    assert "New token</button>" in text


def test_a_trigger_that_is_paused_says_until_when_and_what_resuming_would_do(page: Client) -> None:
    until = timezone.now() + timedelta(hours=3)
    before = timezone.now() - timedelta(days=3)
    paused = {"is_active": False, "paused_until": until, "decided_until": before, "last_enabled_at": before}
    schedule = make_schedule(settings={"catchup": "all"}, **paused)

    text = detail(page, schedule)

    assert "Paused until <time" in text
    assert "; then it resumes by itself." in text
    assert "If it were resumed now: Of the moments that passed meanwhile, " in text
    assert '<span class="more quiet">if it were active</span>' in text
    assert "<dt>Next</dt><dd>–</dd>" in text


def test_a_trigger_that_is_set_aside_says_why(page: Client) -> None:
    assert "Set aside: Unknown time zone." in detail(page, make_schedule(problem="Unknown time zone."))


def test_variables_are_listed_and_their_lack_is_said(page: Client) -> None:
    assert '<div class="in quiet">none</div>' in detail(page, make_schedule(name="plain"))
    with_some = detail(page, make_schedule(name="rich", variables={"country": "DE", "<b>": [1]}))

    assert '<td class="name mono">country</td>' in with_some
    assert "&lt;b&gt;" in with_some


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"sla": timedelta(hours=2)}, "<dt>SLA</dt><dd>2 h 00 min</dd>"),
        ({"start_time": NOON}, "<dt>From</dt>"),
        ({"end_time": NOON}, "<dt>Until</dt>"),
        ({"description": "For <b>accounting</b>."}, "For &lt;b&gt;accounting&lt;/b&gt;."),
        ({"settings": {"catchup": "hold"}}, "<dt>catchup</dt>"),
    ],
)
def test_what_is_set_is_among_the_facts(page: Client, fields: dict[str, Any], words: str) -> None:
    assert words in detail(page, make_schedule(**fields))


def test_a_trigger_whose_zone_is_not_known_any_more_can_be_mended_on_its_form(page: Client) -> None:
    schedule = make_schedule(timezone="Mars/Base", start_time=NOON, problem="Unknown time zone.")

    answer = page.get(f"/schedules/{schedule.pk}/edit/")

    assert answer.status_code == 200
    assert 'value="Mars/Base"' in text_of(answer)


# --- its ledger -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"decision": Decision.SKIPPED, "reason": "Its calendar skips the day."}, "Its calendar skips the day."),
        ({"decision": Decision.WAITING, "start_after": NOON}, "Not before <time"),
        ({"decision": Decision.WAITING, "expires_at": NOON}, "Expires <time"),
        ({"decision": Decision.HELD}, "Release or drop"),
        ({"priority": 7}, "priority 7"),
        ({"local_time": "2025-03-02T13:00:00+01:00"}, '<div class="reason num">'),
    ],
)
def test_a_moment_tells_what_was_decided_and_why(page: Client, fields: dict[str, Any], words: str) -> None:
    schedule = make_schedule(timezone="Europe/Berlin")
    occurrence(schedule, **fields)

    assert words in detail(page, schedule)


def test_a_moment_leads_to_its_run_to_what_stood_before_it_and_to_what_caused_it(page: Client) -> None:
    schedule = make_schedule()
    ran, before, cause = (make_run(status=RunStatus.COMPLETED) for _ in range(3))
    backfill = make_backfill(created_at=NOON)
    backfill.save()
    occurrence(schedule, pipeline_run=ran, cause_run_id=cause.pk, backfill=backfill)
    occurrence(schedule, NOON + timedelta(hours=1), decision=Decision.SKIPPED, blocker_run_id=before.pk)

    text = detail(page, schedule)

    assert f'href="/runs/{ran.pk}/" class="num">#{ran.pk}</a>' in text
    assert f'behind <a class="num" href="/runs/{before.pk}/">' in text
    assert f'after <a class="num" href="/runs/{cause.pk}/">' in text
    assert f'href="/backfills/{backfill.pk}/">backfill {backfill.pk}</a>' in text


@pytest.mark.parametrize("decision", [each for each in Decision if each is not Decision.STARTED])
def test_the_ledger_narrowed_to_what_never_happened_says_so(page: Client, decision: Decision) -> None:
    schedule = make_schedule()
    occurrence(schedule)

    assert f"No moment was {decision.value}." in detail(page, schedule, f"?decision={decision}")


# --- moments that were held or missed ---------------------------------------------------------------------------------


def test_without_held_moments_it_is_said_how_one_comes_here(page: Client) -> None:
    text = seen(page, "/schedules/held/")

    assert "Nothing is held." in text
    assert "A trigger whose catch-up is “hold” puts the moments here" in text


def test_a_filter_of_held_moments_that_fits_none_says_so(page: Client) -> None:
    occurrence(make_schedule(), decision=Decision.HELD)

    assert "No held moment fits this filter." in seen(page, "/schedules/held/?q=nothing")
    assert "those that are ticked" in seen(page, "/schedules/held/")


@pytest.mark.parametrize(
    ("verb", "question", "promise"),
    [
        ("release", "Release 12 held moments of 1 trigger?", "They start as soon as limits allow, the earliest first."),
        ("drop", "Drop 12 held moments of 1 trigger?", "They will not be run. The ledger keeps them, with the reason."),
    ],
)
def test_before_held_moments_are_decided_it_is_said_what_becomes_of_them(
    page: Client, verb: str, question: str, promise: str
) -> None:
    schedule = make_schedule()
    for hour in range(12):
        occurrence(schedule, NOON + timedelta(hours=hour), decision=Decision.HELD)

    text = " ".join(text_of(page.post("/schedules/held/decide/", {"verb": verb, "which": "all"})).split())

    assert question in text
    assert promise in text
    assert "and 2 more" in text
    assert Occurrence.objects.filter(decision=Decision.HELD).count() == 12


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"which": "all"}, "Choose whether to release or to drop them."),
        ({"verb": "delete", "which": "all"}, "Choose whether to release or to drop them."),
        ({"verb": "drop", "which": "all", "q": "nothing"}, "None of these is held any more."),
    ],
)
def test_an_order_about_held_moments_that_makes_no_sense_is_refused(
    page: Client, sent: dict[str, str], said: str
) -> None:
    occurrence(make_schedule(), decision=Decision.HELD)

    assert said in text_of(page.post("/schedules/held/decide/", sent, follow=True))
    assert Occurrence.objects.get().decision == Decision.HELD


def test_without_missed_moments_it_is_said_what_decides_about_them(page: Client) -> None:
    text = seen(page, "/schedules/missed/")

    assert "No moment was missed within 24 h." in text
    assert "decides what becomes of the moments that passed" in text


def test_a_filter_of_missed_moments_that_fits_none_leads_to_any_time(page: Client) -> None:
    text = seen(page, "/schedules/missed/?q=nothing")

    assert "No missed moment fits this filter." in text
    assert 'href="/schedules/missed/?hours=all">Look at any time</a>' in text


# --- many triggers ----------------------------------------------------------------------------------------------------


def test_before_many_are_paused_it_is_asked_for_how_long(page: Client) -> None:
    for number in range(12):
        make_schedule(name=f"t{number}", last_enabled_at=NOON)

    text = " ".join(text_of(page.post("/schedules/bulk/", {"verb": "pause", "which": "all"})).split())

    assert "Pause 12 triggers?" in text
    assert "Nothing is due while they are paused; runs under way go on." in text
    for choice in ("until someone resumes them", "for an hour", "until tomorrow, 08:00", "until this time"):
        assert choice in text
    assert "and 2 more" in text
    assert PipelineSchedule.objects.active().count() == 12


def test_before_many_are_resumed_it_is_said_what_becomes_of_what_passed(page: Client) -> None:
    make_schedule(is_active=False)

    text = " ".join(text_of(page.post("/schedules/bulk/", {"verb": "resume", "which": "all"})).split())

    assert "Resume 1 trigger?" in text
    assert "What passed while they were paused is for each one&#x27;s catch-up policy." in text.replace("'", "&#x27;")
    assert "For how long" not in text


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"which": "all"}, "Choose whether to pause or to resume them."),
        ({"verb": "stop", "which": "all"}, "Choose whether to pause or to resume them."),
        ({"verb": "resume", "which": "all"}, "None of these triggers would change. Choose some that can be resumed."),
        ({"verb": "pause"}, "None of these triggers would change. Choose some that can be paused."),
        ({"verb": "pause", "which": "all", "confirmed": "yes", "how": "week"}, "For an hour, until the morning"),
        ({"verb": "pause", "which": "all", "confirmed": "yes", "how": "time", "until": "soon"}, "Until when?"),
    ],
)
def test_an_order_about_many_that_makes_no_sense_changes_none(page: Client, sent: dict[str, str], said: str) -> None:
    make_schedule(last_enabled_at=NOON)

    assert said in text_of(page.post("/schedules/bulk/", sent, follow=True))
    assert PipelineSchedule.objects.active().count() == 1


def test_too_many_at_once_are_refused_with_how_many_there_are(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schedules.pages.bulk_pages.MOST", 1)
    for name in ("a", "b"):
        make_schedule(name=name, last_enabled_at=NOON)

    said = text_of(page.post("/schedules/bulk/", {"verb": "pause", "which": "all"}, follow=True))

    assert "2 triggers are chosen; the limit is 1. Narrow the list." in said


# --- what is not there ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["4711", "9" * 19, "9" * 40])
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/schedules/{}/", "There is no trigger"),
        ("/schedules/{}/edit/", "There is no trigger"),
        ("/backfills/{}/", "There is no backfill"),
        ("/calendars/{}/", "There is no calendar"),
        ("/calendars/windows/{}/", "There is no maintenance window"),
        ("/incidents/{}/", "There is no incident"),
        ("/incidents/rules/{}/", "There is no alert rule"),
        ("/incidents/channels/{}/", "There is no channel"),
        ("/runs/{}/", "There is no run"),
    ],
)
def test_a_number_that_is_nobodys_is_told_with_what_it_would_be_of(
    page: Client, address: str, said: str, number: str
) -> None:
    answer = page.get(address.format(number))

    assert answer.status_code == 404
    assert f"{said} {number}" in text_of(answer)


def test_runs_of_a_trigger_are_listed_on_its_page(page: Client) -> None:
    schedule = make_schedule(make_pipeline())
    run = make_run(trigger_id=schedule.pk, trigger_name=schedule.name, origin=Origin.SCHEDULE)

    text = detail(page, schedule)

    assert f"/runs/{run.pk}/" in text
    assert f'href="/runs/?trigger={schedule.pk}">all runs</a>' in text
