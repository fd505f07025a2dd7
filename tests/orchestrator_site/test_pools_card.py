"""What the system page says of pools."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import DjangoAssertNumQueries

from runs.models import Pool
from runs.states import BlockStatus
from tests.factories import make_run, make_user, text_of


@pytest.fixture
def ada(db: None) -> User:
    return make_user("ada")


@pytest.fixture
def page(client: Client, ada: User) -> Client:
    client.force_login(ada)
    return client


def pool_in_use(name: str = "warehouse", slots: int = 2) -> Pool:
    """A pool of which one block has two slots and another waits."""
    run = make_run(blocks={"load": BlockStatus.RUNNING, "clean": BlockStatus.QUEUED})
    run.block_runs.filter(block_uuid="load").update(pool=name, pool_slots=2)
    run.block_runs.filter(block_uuid="clean").update(pool=name)
    return Pool.objects.create(name=name, slots=slots, description="<b>One</b> connection")


def test_a_pool_is_shown_with_its_use_and_who_waits(page: Client) -> None:
    pool_in_use()

    answer = page.get("/system/")

    (row,) = answer.context["pools"]
    pool = row["pool"]
    assert (pool.used, pool.queued) == (2, 1)
    assert "2 of 2" in text_of(answer)
    assert "&lt;b&gt;One&lt;/b&gt; connection" in text_of(answer)


def test_a_full_pool_says_so_in_a_word(page: Client) -> None:
    pool_in_use(slots=2)

    assert ">full</span>" in text_of(page.get("/system/"))


def test_a_pool_with_room_is_not_called_full(page: Client) -> None:
    pool_in_use(slots=3)

    assert ">full</span>" not in text_of(page.get("/system/"))


def test_without_a_pool_the_page_says_what_one_is(page: Client) -> None:
    assert "pools: {warehouse: 4}" in text_of(page.get("/system/"))


def test_who_may_change_pools_is_led_to_them(page: Client, ada: User) -> None:
    assert "/admin/runs/pool/" not in text_of(page.get("/system/"))
    User.objects.filter(pk=ada.pk).update(is_staff=True)

    assert 'href="/admin/runs/pool/"' in text_of(page.get("/system/"))


def test_many_pools_cost_no_more_queries_and_end_after_fifty(
    page: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    Pool.objects.bulk_create(Pool(name=f"pool {number:03}", slots=1) for number in range(60))

    with django_assert_max_num_queries(18):
        answer = page.get("/system/")

    assert len(answer.context["pools"]) == 50
    assert "the first 50" in text_of(answer)
