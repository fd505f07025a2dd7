"""What people type on the pages of runs, accepted or refused with the place of the mistake."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import connection

from runs.forms import MOST_VARIABLES, StartForm
from runs.lifecycle import create_run
from runs.models import PipelineRun
from runs.repeats import kept_or_started
from tests.factories import NOON, make_pipeline, make_run, make_user


def sent(variables: str, key: object = None) -> StartForm:
    return StartForm.sent({"variables": variables, "key": str(key or uuid.uuid4())})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ("  \n ", {}),
        ('{"day": "2025-03-02", "n": [1, 2.5, null, true]}', {"day": "2025-03-02", "n": [1, 2.5, None, True]}),
        ('{"name": "Zoë 🎉"}', {"name": "Zoë 🎉"}),
    ],
)
def test_variables_are_a_json_object(text: str, value: Any) -> None:
    form = sent(text)

    assert form.is_valid()
    assert form.cleaned_data["variables"] == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1,\n  b: 2}', "Variables must be a JSON object (line 2, column 3:"),
        ("{", "line 1, column 2"),
        ("[1]", "Variables must be a JSON object, for example"),
        ('"text"', "Variables must be a JSON object"),
        ("17", "Variables must be a JSON object"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": 1, "a": 2}', "'a' is given twice"),
        ('{"a": 1e400}', "too large"),
        ('{"a": "\\u0000"}', "cannot be stored"),
        ('{"a": ' * 200 + "1" + "}" * 200, "nested deeper than 32 levels"),
        ('{"a": "' + "x" * MOST_VARIABLES + '"}', "the limit is"),
    ],
)
def test_other_variables_are_refused_with_the_reason(text: str, words: str) -> None:
    form = sent(text)

    assert not form.is_valid()
    assert words in form.errors["variables"][0]


def test_a_form_without_its_key_is_refused() -> None:
    form = StartForm.sent({"variables": "{}", "key": "me"})

    assert form.errors["key"] == ["Open the page again, then start."]


def test_each_fresh_form_has_a_key_of_its_own() -> None:
    assert StartForm.fresh().initial["key"] != StartForm.fresh().initial["key"]


@pytest.mark.django_db
def test_a_form_sent_twice_starts_once() -> None:
    create, ada, data = partial(create_run, make_pipeline()), make_user(), {"key": str(uuid.uuid4())}

    first, second = (StartForm.sent(data).start(create, user=ada, moment=NOON) for _ in range(2))

    assert first == second == PipelineRun.objects.get()


@pytest.mark.django_db
def test_two_users_may_send_the_same_key() -> None:
    create, data = partial(create_run, make_pipeline()), {"key": str(uuid.uuid4())}

    runs = {StartForm.sent(data).start(create, user=make_user(name), moment=NOON) for name in ("ada", "eve")}

    assert {run.started_by for run in runs if run} == {"ada", "eve"}


@pytest.mark.django_db
def test_a_pipeline_that_cannot_run_is_an_error_of_the_form() -> None:
    pipeline, form = make_pipeline(), StartForm.sent({"key": str(uuid.uuid4())})
    pipeline.is_valid, pipeline.problems = False, [{"file": "a.yaml", "line": 7, "reason": "no block."}]

    assert form.start(partial(create_run, pipeline), user=make_user(), moment=NOON) is None
    assert form.non_field_errors() == ["Pipeline etl is invalid: a.yaml line 7: no block."]
    assert not PipelineRun.objects.exists()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="threads share one SQLite connection in tests")
@pytest.mark.django_db(transaction=True)
def test_a_form_sent_many_times_at_once_starts_once() -> None:
    pipeline = make_pipeline()

    def send(number: int) -> int:
        try:
            return kept_or_started("k", lambda: make_run(pipeline, idempotency_key="k"))[0].pk
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        found = set(pool.map(send, range(6)))

    assert found == set(PipelineRun.objects.values_list("pk", flat=True))
    assert len(found) == 1
