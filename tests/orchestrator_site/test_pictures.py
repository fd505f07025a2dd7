"""Every page that can be looked at is in `make screenshots`, or it is said why not."""

import re
from collections.abc import Iterator

import pytest
from django.test import Client

from benchmarks.addresses import PLACE, routes
from tests.browser.pictures import ALSO, LEFT_OUT, PAGES, STEPS

PICTURED = {re.sub(r" \(\w+\)$|\?.*$", "", ALSO.get(name, name)) for name in PAGES.values()}


def kind(name: str) -> str:
    """One page of each kind stands for all of the administration's."""
    return re.sub(r"^/admin/\w+/\w+/", "/admin/*/*/", name)


def pages() -> Iterator[tuple[str, str]]:
    """The name of each address that is no part of the API, and a path that leads there."""
    for route, _ in routes():
        if not route.startswith("api/") or route == "api/docs/":
            yield "/" + PLACE.sub(r"{\1}", route), "/" + PLACE.sub(filling, route)


def filling(place: re.Match[str]) -> str:
    return "1" if re.search("id$|pk$|attempt$", place[1]) else "x"


@pytest.mark.django_db
def test_every_page_has_a_picture_or_a_reason_for_none(admin_client: Client) -> None:
    kinds = {kind(name) for name in PICTURED}
    others = {name: path for name, path in pages() if kind(name) not in kinds | set(LEFT_OUT)}

    found = {name: admin_client.get(path).status_code for name, path in others.items()}

    assert {name for name, status in found.items() if status != 405} == set()  # 405: it only answers to POST


def test_nothing_is_left_out_that_is_gone_or_has_a_picture() -> None:
    names = {kind(name) for name, _ in pages()} | {name for name, _ in pages()}

    assert not set(LEFT_OUT) & PICTURED
    assert set(LEFT_OUT) - names - {"/api/schema/"} == set()
    assert set(STEPS) <= set(PAGES)
