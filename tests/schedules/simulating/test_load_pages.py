"""The load page and `GET /api/v1/load`: what they say and refuse, and that heavy ones do not hold requests up."""

from collections.abc import Iterator
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from schedules.simulating import load_forecast, simulated
from schedules.simulating.load_forecast import Question, answer, read_question
from tests.factories import NOON, make_client, make_pipeline, make_schedule, make_user, text_of
from tests.schedules.simulating import at_once

pytestmark = pytest.mark.django_db
DAY = {"from": "2025-03-03T00:00:00Z", "until": "2025-03-05T00:00:00Z"}
QUESTION = Question(NOON, NOON + timedelta(days=1), workers=4)
BESIDE = load_forecast.begin


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()
    load_forecast.TASKS.clear()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_forecast, "begin", at_once.begin)


def make_crowd(count: int = 6) -> None:
    pipeline = make_pipeline(blocks=[("only",)])
    for number in range(count):
        make_schedule(pipeline, name=f"hourly {number}", schedule_interval="0 * * * *")
    make_schedule(pipeline, name="<b>nightly</b>", schedule_interval="0 2 * * *")


def ask(**query: str) -> Any:
    return make_client(make_user("bob")).get("/api/v1/load", {**DAY, **query})


def test_the_page_shows_hours_collisions_quiet_times_and_advice(page: Client) -> None:
    make_crowd()

    text = text_of(page.get("/load/", {**DAY, "timezone": "Europe/Berlin", "workers": "4"}))

    assert 'scope="row">Mon 03 Mar' in text
    assert "hourly 5" in text
    assert "<b>nightly</b>" not in text
    assert "7 triggers start at minute 00 of their hours" in text
    assert "for a run of 30 minutes" in text
    assert "runs wait for a worker" in text
    assert " style=" not in text


def test_the_grid_is_one_of_numbers_for_every_hour_of_every_local_day(page: Client) -> None:
    make_crowd(1)

    context = page.get("/load/", {**DAY, "timezone": "Asia/Kolkata"}).context

    assert [len(day["cells"]) for day in context["days"]] == [24, 24, 24]
    assert sum(each["cell"].hours for day in context["days"] for each in day["cells"]) == 48
    assert context["days"][1]["cells"][7]["cell"].peak == 2  # 02:00 UTC


def test_the_page_of_a_new_installation_says_so(page: Client) -> None:
    text = text_of(page.get("/load/"))

    assert "0 active triggers" in text
    assert "No two triggers start in the same minute." in text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"timezone": "Europe/Berln"}, "timezone"),
        ({"workers": "0"}, "workers"),
        ({"workers": "1e9"}, "workers"),
        ({"quantile": "2"}, "quantile"),
        ({"quantile": "nan"}, "quantile"),
        ({"quantile": "<b>"}, "quantile"),
        ({"minutes": "-1"}, "minutes"),
        ({"from": "yesterday"}, "from"),
        ({"until": "2025-03-02T00:00:00Z"}, "until"),
        ({"until": "2026-03-02T00:00:00Z"}, "until"),
    ],
)
def test_nonsense_names_the_parameter_on_the_page_and_in_the_api(
    page: Client, query: dict[str, str], field: str
) -> None:
    shown, told = page.get("/load/", DAY | query), ask(**query)

    assert shown.status_code == 422
    assert shown.context["refusal"].field == field
    assert "<b>" + field + "</b>" in text_of(shown)
    assert told.status_code == 400
    assert told.json()["errors"][0]["field"] == field


def test_the_api_tells_what_the_command_tells_and_more() -> None:
    make_crowd()

    told = ask(workers="7", minutes="45").json()

    assert (told["from"], told["schedules"], told["workers"], told["is_current"]) == (
        "2025-03-03T00:00:00Z",
        7,
        7,
        True,
    )
    assert told["hours"][2]["peak"] == 7
    assert told["collisions"][0]["at"] == "02:00"
    assert told["advice"]["count"] == 7
    assert told["quiet_slots"][0]["minutes"] == 45


def test_an_unknown_parameter_is_refused() -> None:
    assert ask(zone="UTC").json()["code"] == "unknown_parameter"


def test_an_answer_is_kept_until_a_schedule_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    make_crowd(1)
    first = answer(QUESTION, NOON)
    with monkeypatch.context() as once:
        once.setattr(load_forecast, "begin", lambda _: pytest.fail("it was worked out again"))
        again = answer(QUESTION, NOON + timedelta(minutes=30))
    make_schedule(name="another")
    changed = answer(QUESTION, NOON + timedelta(minutes=40))

    assert (again.told, again.at, again.is_current) == (first.told, NOON, True)
    assert changed.told is not None
    assert (changed.told["schedules"], changed.at) == (3, NOON + timedelta(minutes=40))


@pytest.mark.django_db(transaction=True)
def test_what_takes_long_is_read_and_worked_out_beside_the_request_and_the_last_answer_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_crowd(1)
    done, real = Event(), simulated.read_world
    monkeypatch.setattr(load_forecast, "begin", BESIDE)
    monkeypatch.setattr(simulated, "read_world", lambda *asked, **named: done.wait(10) and real(*asked, **named))

    nothing_yet = answer(QUESTION, NOON, patience=0)
    (task,) = load_forecast.TASKS.values()
    same_task = answer(QUESTION, NOON, patience=0)
    done.set()
    task.join(10)
    known = answer(QUESTION, NOON, patience=0)
    done.clear()
    make_schedule(name="another")
    stale = answer(QUESTION, NOON + timedelta(minutes=5), patience=0)
    done.set()
    for task in list(load_forecast.TASKS.values()):
        task.join(10)

    assert (nothing_yet.told, same_task.told) == (None, None)
    assert known.is_current
    assert (stale.told, stale.at, stale.is_current) == (known.told, NOON, False)


def test_the_page_asks_again_while_it_is_worked_out_and_the_api_says_when(
    page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_forecast, "answer", lambda *_: load_forecast.Answer())

    assert 'hx-trigger="load delay:1s"' in text_of(page.get("/load/"))
    told = ask()
    assert (told.status_code, told["Retry-After"]) == (202, "2")


def test_without_words_the_question_is_the_coming_week_from_this_hour() -> None:
    found = read_question({}, NOON + timedelta(minutes=59))

    assert (found.begin, found.end, found.zone) == (NOON, NOON + timedelta(days=7), "UTC")


def test_the_answer_of_yesterday_is_shown_at_once_while_the_next_is_worked_out(
    page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_crowd(1)
    monkeypatch.setattr(load_forecast, "KEPT", 0)  # as if its hour were over
    page.get("/load/")
    monkeypatch.setattr(load_forecast, "begin", lambda _: Thread(target=list))
    monkeypatch.setattr(Thread, "join", lambda *_: None)

    text = text_of(page.get("/load/"))

    assert "Being worked out anew; this is " in text
    assert "The week is being played through again." in text
    assert "Quiet times" in text


def test_only_who_asks_first_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    thread = Thread()
    monkeypatch.setattr(thread, "join", waits.append)
    monkeypatch.setattr(load_forecast, "begin", lambda _: thread)

    first, second = answer(QUESTION, NOON, patience=0.1), answer(QUESTION, NOON, patience=0.1)

    assert (first.told, second.told, waits) == (None, None, [0.1])
