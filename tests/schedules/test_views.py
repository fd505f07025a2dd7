"""The pages of schedules: lists, ledger, pause and resume, run now."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from pytest_django.asserts import assertRedirects
from pytest_django.fixtures import DjangoAssertNumQueries

from runs.models import Origin, PipelineRun
from runs.states import RunStatus
from schedules.models import Decision, Occurrence, PipelineSchedule
from schedules.views import LEDGER, PAGE
from tests.factories import NOON, make_pipeline, make_run, make_schedule, text_of

pytestmark = pytest.mark.django_db


def occurrence(schedule: PipelineSchedule, number: int = 0, **fields: Any) -> Occurrence:
    moment = NOON + timedelta(hours=number)
    defaults = {"scheduled_for": moment, "decision": Decision.STARTED, "decided_at": moment + timedelta(seconds=2)}
    return Occurrence.objects.create(pipeline=schedule.pipeline, schedule=schedule, **defaults | fields)


# --- the list ---------------------------------------------------------------------------------------------------------


def test_no_triggers_say_what_one_is(page: Client) -> None:
    assert "A trigger says when a pipeline runs" in text_of(page.get("/schedules/"))


def test_a_trigger_is_shown_in_words_and_as_written(page: Client) -> None:
    make_schedule(schedule_interval="0 6 * * 1-5", timezone="Europe/Berlin")

    text = text_of(page.get("/schedules/"))

    assert "at 06:00 on Monday to Friday" in text
    assert "0 6 * * 1-5" in text
    assert "Europe/Berlin" in text


def test_a_trigger_that_cannot_fire_says_why(page: Client) -> None:
    make_schedule(schedule_interval="61 * * * *", problem="Minute: 61 is outside 0–59.")

    text = text_of(page.get("/schedules/"))

    assert "set aside" in text
    assert "Minute: 61 is outside 0–59." in text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["daily", "nightly", "odd"]),
        ("?state=active", ["daily", "odd"]),
        ("?state=paused", ["nightly"]),
        ("?state=set+aside", ["odd"]),
        ("?state=nonsense", ["daily", "nightly", "odd"]),
        ("?q=NIGHT", ["nightly"]),
        ("?q=etl", ["daily", "nightly", "odd"]),
        ("?q=%00", ["daily", "nightly", "odd"]),
    ],
)
def test_a_filter_narrows_the_list(page: Client, query: str, names: list[str]) -> None:
    make_schedule(name="daily")
    make_schedule(name="nightly", is_active=False)
    make_schedule(name="odd", problem="no")

    rows = page.get(f"/schedules/{query}").context["rows"]

    assert [row["schedule"].name for row in rows] == names


def test_a_state_that_there_is_not_is_named_and_narrows_nothing(page: Client) -> None:
    make_schedule(name="daily")

    answer = page.get("/schedules/?state=<late>")

    assert "state: &lt;late&gt; is none of these choices." in text_of(answer)
    assert '<input type="hidden" name="state" value="">' in answer.content.decode()


def test_the_list_asks_as_much_for_many_triggers_as_for_one(
    page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(PAGE + 5):
        schedule = make_schedule(name=f"t{number}", settings={"calendar": "weekend"})
        make_run(trigger_id=schedule.pk) if number % 20 == 0 else None

    with django_assert_max_num_queries(17):
        answer = page.get("/schedules/")

    assert len(answer.context["rows"]) == PAGE
    assert "?page=2" in text_of(answer)


# --- one trigger ------------------------------------------------------------------------------------------------------


def test_a_trigger_shows_its_next_ten_times_in_its_zone_and_utc(page: Client) -> None:
    schedule = make_schedule(schedule_interval="0 6 * * *", timezone="Europe/Berlin")

    answer = page.get(f"/schedules/{schedule.pk}/")

    upcoming = answer.context["upcoming"]
    assert len(upcoming) == 10
    assert all(instant.local.hour == 6 for instant in upcoming)
    assert f"{upcoming[0].utc:%H:%M}</time></td>" in text_of(answer)


def test_a_clock_change_is_noted_beside_its_moment(page: Client) -> None:
    before = datetime(datetime.now(UTC).year + 1, 3, 24, tzinfo=UTC)  # a week in which clocks go forward
    schedule = make_schedule(schedule_interval="30 2 * * *", timezone="Europe/Berlin", start_time=before)

    text = text_of(page.get(f"/schedules/{schedule.pk}/"))

    assert f"02:30 does not exist on {before.year}-03-" in text


def test_the_ledger_says_what_was_decided_and_why(page: Client) -> None:
    schedule = make_schedule()
    run = make_run(trigger_id=schedule.pk)
    occurrence(schedule, 1, pipeline_run=run)
    reason = "The previous run was still running."
    occurrence(schedule, 2, decision=Decision.SKIPPED, reason=reason, blocker_run_id=run.pk)

    answer = page.get(f"/schedules/{schedule.pk}/")
    text = text_of(answer)

    assert [entry.decision for entry in answer.context["ledger"]] == ["skipped", "started"]
    assert reason in text
    assert "+2.00 s" in text
    assert text.count(f'href="/runs/{run.pk}/"') >= 2


def test_the_older_part_of_a_ledger_is_a_link_away(page: Client) -> None:
    schedule = make_schedule()
    for number in range(LEDGER + 3):
        occurrence(schedule, number)

    first = page.get(f"/schedules/{schedule.pk}/")
    second = page.get(f"/schedules/{schedule.pk}/", {"before": first.context["older"]})

    assert [entry.scheduled_for for entry in second.context["ledger"]] == [
        NOON + timedelta(hours=number) for number in (2, 1, 0)
    ]


def test_the_ledger_can_be_narrowed_to_one_decision_and_paged(page: Client) -> None:
    schedule = make_schedule()
    for number in range(2 * LEDGER + 2):
        occurrence(schedule, number, decision=Decision.SKIPPED if number % 2 else Decision.STARTED)

    first = page.get(f"/schedules/{schedule.pk}/?decision=skipped")
    second = page.get(f"/schedules/{schedule.pk}/", {"decision": "skipped", "before": first.context["older"]})

    assert {entry.decision for entry in first.context["ledger"]} == {Decision.SKIPPED}
    assert [entry.scheduled_for for entry in second.context["ledger"]] == [NOON + timedelta(hours=1)]
    assert "&amp;decision=skipped" in text_of(first)


@pytest.mark.parametrize("query", ["decision=nonsense", "decision=", "decision=%00"])
def test_a_decision_that_is_none_shows_all(page: Client, query: str) -> None:
    schedule = make_schedule()
    occurrence(schedule)

    assert len(page.get(f"/schedules/{schedule.pk}/?{query}").context["ledger"]) == 1


def test_a_decision_that_was_never_taken_says_so(page: Client) -> None:
    schedule = make_schedule()
    occurrence(schedule)

    assert "No moment was expired." in text_of(page.get(f"/schedules/{schedule.pk}/?decision=expired"))


def test_a_moment_that_waits_says_for_what_and_until_when(page: Client) -> None:
    schedule = make_schedule(timezone="Europe/Berlin")
    occurrence(
        schedule,
        decision=Decision.WAITING,
        reason="The limit was reached.",
        blocker_run_id=17,
        cause_run_id=16,
        priority=50,
        start_after=NOON,
        expires_at=NOON,
        local_time="2025-03-02T13:00:00+01:00",
    )

    text = text_of(page.get(f"/schedules/{schedule.pk}/"))

    assert all(part in text for part in ("Not before <time", "Expires <time", "priority 50", "2025-03-02 13:00 +01:00"))
    assert 'href="/runs/17/"' in text
    assert 'href="/runs/16/"' in text


def test_a_held_moment_links_to_where_it_is_released(page: Client) -> None:
    schedule = make_schedule()
    occurrence(schedule, decision=Decision.HELD)

    assert f'href="/schedules/held/?schedule={schedule.pk}"' in text_of(page.get(f"/schedules/{schedule.pk}/"))


def test_a_start_before_its_moment_is_told_with_a_minus(page: Client) -> None:
    schedule = make_schedule()
    occurrence(schedule, decided_at=NOON - timedelta(minutes=14))

    assert "−14 min 00 s" in text_of(page.get(f"/schedules/{schedule.pk}/"))


@pytest.mark.parametrize("before", ["x", "2025", "2025-03-02", "%00"])
def test_a_moment_that_is_not_understood_shows_the_newest(page: Client, before: str) -> None:
    schedule = make_schedule()
    occurrence(schedule)

    assert len(page.get(f"/schedules/{schedule.pk}/?before={before}").context["ledger"]) == 1


def test_the_page_asks_as_much_for_a_long_ledger_as_for_a_short(
    page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    schedule = make_schedule()
    for number in range(30):
        occurrence(schedule, number, pipeline_run=make_run(trigger_id=schedule.pk))

    with django_assert_max_num_queries(20):
        page.get(f"/schedules/{schedule.pk}/")


def test_an_api_trigger_shows_how_it_is_called(page: Client) -> None:
    schedule = make_schedule(schedule_type="api", schedule_interval="")

    text = text_of(page.get(f"/schedules/{schedule.pk}/"))

    assert f"curl -X POST http://testserver/api/pipeline_schedules/{schedule.pk}/pipeline_runs" in text
    assert "Bearer $TOKEN" in text


def test_a_time_trigger_is_not_called(page: Client) -> None:
    assert "curl" not in text_of(page.get(f"/schedules/{make_schedule().pk}/"))


def test_an_unknown_trigger_is_named(page: Client) -> None:
    answer = page.get("/schedules/4711/")

    assert answer.status_code == 404
    assert "There is no trigger 4711." in text_of(answer)


def test_a_trigger_with_an_impossible_rule_still_has_its_page(page: Client) -> None:
    schedule = make_schedule(schedule_interval="61 * * * *", timezone="Nowhere", problem="no")

    assert page.get(f"/schedules/{schedule.pk}/").status_code == 200


# --- pause, resume, delete, token -------------------------------------------------------------------------------------


def test_pause_and_resume_switch_it_off_and_on(page: Client) -> None:
    schedule = make_schedule(next_due_at=NOON)

    page.post(f"/schedules/{schedule.pk}/pause/")
    schedule.refresh_from_db()
    paused = (schedule.is_active, schedule.next_due_at)
    page.post(f"/schedules/{schedule.pk}/resume/")
    schedule.refresh_from_db()

    assert paused == (False, None)
    assert schedule.is_active
    assert schedule.next_due_at is not None
    assert schedule.next_due_at > datetime.now(UTC)


def test_pausing_in_the_list_comes_back_to_the_list(page: Client) -> None:
    schedule = make_schedule()

    assert page.post(f"/schedules/{schedule.pk}/pause/", {"from": "list"})["Location"] == "/schedules/"
    assert page.post(f"/schedules/{schedule.pk}/pause/")["Location"] == f"/schedules/{schedule.pk}/"


def test_resuming_what_cannot_fire_says_why(page: Client) -> None:
    schedule = make_schedule(schedule_interval="61 * * * *", is_active=False)

    assert "cannot fire" in text_of(page.post(f"/schedules/{schedule.pk}/resume/", follow=True))


def test_delete_removes_the_trigger_and_keeps_its_runs(page: Client) -> None:
    schedule = make_schedule()
    run = make_run(trigger_id=schedule.pk, trigger_name="daily")

    page.post(f"/schedules/{schedule.pk}/delete/")

    assert not PipelineSchedule.objects.exists()
    assert PipelineRun.objects.get() == run


def test_a_new_token_is_shown_once(page: Client) -> None:
    schedule = make_schedule(schedule_type="api", schedule_interval="")

    answer = page.post(f"/schedules/{schedule.pk}/token/")

    schedule.refresh_from_db()
    token = answer.context["token"]
    assert token in text_of(answer)
    assert schedule.token_matches(token)
    assert token not in text_of(page.get(f"/schedules/{schedule.pk}/"))
    assert "no-store" in answer["Cache-Control"]


def test_a_token_that_is_in_use_is_not_ended_by_one_click(page: Client) -> None:
    schedule = make_schedule(schedule_type="api", schedule_interval="")
    assert 'id="token"' not in page.get(f"/schedules/{schedule.pk}/").content.decode()
    schedule.rotate_token()
    assert "ends at once" in text_of(page.get(f"/schedules/{schedule.pk}/"))


def test_a_time_trigger_has_no_token(page: Client) -> None:
    assert page.post(f"/schedules/{make_schedule().pk}/token/").status_code == 404


@pytest.mark.parametrize("verb", ["pause", "resume", "token", "delete"])
def test_a_link_never_changes_a_trigger(page: Client, verb: str) -> None:
    assert page.get(f"/schedules/{make_schedule().pk}/{verb}/").status_code == 405


def test_a_form_that_was_filled_in_wrongly_leads_back_to_the_trigger_when_it_is_loaded_again(page: Client) -> None:
    schedule = make_schedule()

    answer = page.get(f"/schedules/{schedule.pk}/run/")

    assertRedirects(answer, f"/schedules/{schedule.pk}/")
    assert not PipelineRun.objects.exists()


@pytest.mark.parametrize("verb", ["pause", "resume", "run", "token", "delete", "edit"])
def test_a_trigger_deleted_meanwhile_is_named(page: Client, verb: str) -> None:
    answer = page.post(f"/schedules/4711/{verb}/", {"key": str(uuid.uuid4())})

    assert answer.status_code == 404
    assert "4711" in text_of(answer)


# --- run now ----------------------------------------------------------------------------------------------------------


def test_run_now_uses_the_triggers_settings_and_variables(page: Client) -> None:
    schedule = make_schedule(
        make_pipeline(variables={"a": 1, "b": 1, "c": 1}),
        variables={"b": 2, "c": 2},
        settings={"allow_blocks_to_fail": True},
    )

    page.post(f"/schedules/{schedule.pk}/run/", {"variables": '{"c": 3}', "key": str(uuid.uuid4())})

    run = PipelineRun.objects.get()
    assert run.variables == {"a": 1, "b": 2, "c": 3}
    assert (run.origin, run.trigger_id, run.trigger_name) == (Origin.MANUAL, schedule.pk, "daily")
    assert run.allow_blocks_to_fail


@pytest.mark.parametrize(
    ("overlap", "code", "words"),
    [
        ("wait_all", 200, "waits: The previous run, {}, is still running."),
        ("skip", 422, "etl does not start: The previous run, {}, was still running. Try again when there is room."),
    ],
)
def test_run_now_says_that_it_waits_or_why_it_does_not_start(page: Client, overlap: str, code: int, words: str) -> None:
    schedule = make_schedule(settings={"overlap": overlap})
    going_on = make_run(schedule.pipeline, trigger_id=schedule.pk, status=RunStatus.RUNNING)

    answer = page.post(f"/schedules/{schedule.pk}/run/", {"key": str(uuid.uuid4())}, follow=True)

    assert answer.status_code == code
    assert words.format(going_on.pk) in text_of(answer)
    assert "is started" not in text_of(answer)


def test_a_paused_trigger_can_be_run_by_hand(page: Client) -> None:
    schedule = make_schedule(is_active=False)

    page.post(f"/schedules/{schedule.pk}/run/", {"key": str(uuid.uuid4())})

    schedule.refresh_from_db()
    assert PipelineRun.objects.count() == 1
    assert not schedule.is_active


def test_a_double_click_starts_one_run(page: Client) -> None:
    schedule, data = make_schedule(), {"key": str(uuid.uuid4())}

    answers = [page.post(f"/schedules/{schedule.pk}/run/", data) for _ in range(3)]

    assert PipelineRun.objects.count() == 1
    assert len({answer["Location"] for answer in answers}) == 1


def test_variables_that_are_not_json_start_nothing(page: Client) -> None:
    schedule = make_schedule()

    answer = page.post(f"/schedules/{schedule.pk}/run/", {"variables": "{", "key": str(uuid.uuid4())})

    assert answer.status_code == 422
    assert "line 1, column 2" in text_of(answer)
    assert not PipelineRun.objects.exists()


def test_a_run_now_has_a_field_for_each_variable_of_the_trigger_and_the_pipeline(page: Client) -> None:
    schedule = make_schedule(make_pipeline(variables={"a": 1, "b": 2}), variables={"b": 20, "c": 30})
    typed = {"variable:a": "1", "variable:b": "21", "variable:c": "30"}

    shown = text_of(page.get(f"/schedules/{schedule.pk}/"))
    page.post(f"/schedules/{schedule.pk}/run/", {**typed, "key": str(uuid.uuid4())})

    assert 'name="variable:b" value="20"' in shown
    run = PipelineRun.objects.get()
    assert run.variables == {"a": 1, "b": 21, "c": 30}
    assert run.variable_origins == {"a": "pipeline", "b": "run", "c": "trigger"}
