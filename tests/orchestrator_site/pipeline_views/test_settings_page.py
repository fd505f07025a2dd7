"""The view of what a pipeline is set to."""

from typing import Any

import pytest
from django.test import Client

from pipelines.graph import Block
from pipelines.models import PipelineVersion
from tests.factories import make_pipeline, make_schedule, text_of

pytestmark = pytest.mark.django_db


def show(page: Client) -> Any:
    return page.get("/pipelines/etl/settings/")


def test_the_settings_name_callbacks_and_do_not_spell_them_out(page: Client) -> None:
    entries = [{"uuid": "page_ada", "retry_config": {}}, {"uuid": "page_bob", "timeout": None}]
    make_pipeline(callbacks={"failure": entries, "success": []})

    assert show(page).context["after_run"] == {"failure": "page_ada, page_bob"}


def test_variables_say_where_they_are_from_and_which_trigger_gives_another(page: Client) -> None:
    pipeline = make_pipeline(variables={"day": 1, "units": "metric"})
    text = {"pipelines/etl/metadata.yaml": {"text": "variables: {day: 1}"}}
    PipelineVersion.objects.filter(pipeline=pipeline).update(files=text)
    schedule = make_schedule(pipeline, name="nightly", variables={"day": 7, "extra": True})

    rows = {row["name"]: row for row in show(page).context["variables"]}

    assert {name: row["origin"] for name, row in rows.items()} == {"day": "pipeline", "units": "project", "extra": ""}
    assert rows["day"]["triggers"] == [(schedule, 7)]
    assert not rows["extra"]["is_own"]
    assert f'<a href="/schedules/{schedule.pk}/">nightly</a>' in text_of(show(page))


def test_nested_settings_are_told_key_by_key(page: Client) -> None:
    make_pipeline(retry_config={"retries": 3, "delay": None}, executor_type="local_python")

    found = {each.name: each.value for each in show(page).context["settings"]}

    assert found == {"retry_config.retries": 3, "executor_type": "local_python"}


def test_callbacks_and_conditions_say_which_blocks_they_are_for(page: Client) -> None:
    blocks = [
        Block(uuid="load", callbacks=("tell",), conditions=("is_weekday",)),
        Block(uuid="tell", type="callback", outcomes=("failure",), file="callbacks/tell.py"),
        Block(uuid="is_weekday", type="conditional"),
    ]
    make_pipeline(blocks=blocks)

    answer = show(page)

    assert [(each["of"]["uuid"], each["blocks"]) for each in answer.context["callbacks"]] == [("tell", ["load"])]
    assert [(each["of"]["uuid"], each["blocks"]) for each in answer.context["conditions"]] == [("is_weekday", ["load"])]
    assert "/pipelines/etl/code/?file=callbacks%2Ftell.py" in text_of(answer)


def test_only_blocks_with_settings_of_their_own_are_listed(page: Client) -> None:
    make_pipeline(blocks=[Block(uuid="load", timeout=60.0, pool="warehouse"), Block(uuid="save")])

    ((entry, found),) = show(page).context["blocks"]

    assert (entry["uuid"], found) == ("load", {"timeout": 60.0, "pool": "warehouse"})
