"""Pools in the API and in the admin."""

import pytest
from django.test import Client

from pipelines.graph import Block
from runs import lifecycle, pools
from runs.models import Origin, Pool
from tests.factories import NOON, make_client, make_pipeline, make_user
from tests.runs.outcomes import make_owner

pytestmark = pytest.mark.django_db
POOLS = "/api/v1/pools/"


def take_a_slot(name: str) -> None:
    blocks = [Block(uuid="a", name="a", pool=name), Block(uuid="b", name="b", pool=name)]
    lifecycle.create_run(make_pipeline("etl", blocks), moment=NOON, origin=Origin.MANUAL)
    assert lifecycle.claim_next(make_owner(NOON), NOON)


def test_a_pool_is_made_read_changed_and_removed() -> None:
    api = make_client()
    made = api.post(POOLS, {"name": "db", "slots": 2}, format="json")
    assert made.status_code == 201
    address = f"{POOLS}{made.json()['id']}"
    assert api.patch(address, {"slots": 5}, format="json").json()["slots"] == 5
    assert [pool["name"] for pool in api.get(POOLS).json()["results"]] == ["db"]
    assert api.delete(address).status_code == 204
    assert not Pool.objects.exists()


def test_how_full_it_is_is_told() -> None:
    pool = Pool.objects.create(name="db", slots=1)
    take_a_slot("db")
    told = make_client().get(f"{POOLS}{pool.pk}").json()
    assert (told["slots"], told["used"], told["queued"]) == (1, 1, 1)


def test_one_in_use_is_not_removed() -> None:
    pool = Pool.objects.create(name="db", slots=1)
    take_a_slot("db")
    refused = make_client().delete(f"{POOLS}{pool.pk}")
    assert refused.status_code == 409
    assert "2 unfinished block runs name pool 'db'" in refused.json()["detail"]


def test_one_of_the_projects_file_is_changed_there() -> None:
    pools.sync({"db": (1, "")})
    address = f"{POOLS}{Pool.objects.get().pk}"
    assert make_client().patch(address, {"slots": 9}, format="json").status_code == 409
    assert Pool.objects.get().slots == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "db"}, "slots"),
        ({"name": "db", "slots": 0}, "slots"),
        ({"name": "db", "slots": "5"}, "slots"),
        ({"name": "", "slots": 1}, "name"),
    ],
)
def test_a_mistake_is_named(body: dict[str, object], field: str) -> None:
    answer = make_client().post(POOLS, body, format="json")
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_name_is_taken_once_and_kept() -> None:
    api, pool = make_client(), Pool.objects.create(name="db", slots=1)
    assert api.post(POOLS, {"name": "db", "slots": 1}, format="json").status_code == 409
    assert api.patch(f"{POOLS}{pool.pk}", {"name": "other"}, format="json").status_code == 400


def test_the_admin_shows_runs_and_looks_after_pools(client: Client) -> None:
    Pool.objects.create(name="db", slots=3)
    take_a_slot("db")
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    for what in ("pipelinerun", "blockrun", "attempt", "event", "worker", "pool"):
        assert client.get(f"/admin/runs/{what}/").status_code == 200, what
    address = f"/admin/runs/pool/{Pool.objects.get().pk}/change/"
    client.post(address, {"slots": 7, "description": ""})
    assert Pool.objects.get().slots == 7


def test_the_admin_changes_no_run(client: Client) -> None:
    Pool.objects.create(name="db", slots=3)
    take_a_slot("db")
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    run = lifecycle.PipelineRun.objects.get()
    assert client.get(f"/admin/runs/pipelinerun/{run.pk}/change/").status_code == 200
    assert client.post(f"/admin/runs/pipelinerun/{run.pk}/change/", {"status": "completed"}).status_code == 403
