"""One's own tokens: made and shown once, listed without their secret, ended."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from orchestrator_site import tokens
from orchestrator_site.models import ApiToken
from tests.factories import make_user, text_of

pytestmark = pytest.mark.django_db


def make(page: Client, **fields: str) -> Any:
    return page.post("/account/", {"name": "deploy", "scopes": "read run", "days": "30"} | fields)


def issued(user: User, name: str = "old") -> ApiToken:
    now = timezone.now()
    return tokens.issue(user, name=name, scopes=["read"], expires_at=now + timedelta(days=1), moment=now)[0]


def test_a_new_token_is_shown_once_and_works(page: Client, ada: User) -> None:
    answer = make(page)

    plain = answer.context["made"]
    token = tokens.verify(plain, timezone.now())
    assert plain in text_of(answer)
    assert token is not None
    assert (token.user, token.name, token.scopes) == (ada, "deploy", ["read", "run"])
    assert plain not in text_of(page.get("/account/"))


def test_a_token_ends_after_its_days(page: Client) -> None:
    make(page, days="1")

    expires_at = ApiToken.objects.get().expires_at
    assert expires_at is not None
    assert timedelta(hours=23) < expires_at - timezone.now() < timedelta(hours=25)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "required"),
        ("name", "x" * 101, "100"),
        ("name", "a\nb", "printable"),
        ("scopes", "everything", "Select a valid choice"),
        ("days", "0", "Days must be a whole number from 1 to 365."),
        ("days", "366", "Days must be a whole number from 1 to 365."),
        ("days", "soon", "Days must be a whole number from 1 to 365."),
        ("days", "", "Days must be a whole number from 1 to 365."),
    ],
)
def test_a_mistake_is_told_beside_its_field_and_nothing_is_made(
    page: Client, field: str, value: str, words: str
) -> None:
    answer = make(page, **{field: value})

    assert answer.status_code == 422
    assert words in " ".join(answer.context["form"].errors[field])
    assert not ApiToken.objects.exists()


def test_a_token_is_ended_at_once(page: Client, ada: User) -> None:
    token = issued(ada)

    answer = page.post(f"/account/tokens/{token.pk}/revoke/", follow=True)

    token.refresh_from_db()
    assert token.revoked_at is not None
    assert "The token old has ended." in text_of(answer)


def test_somebody_elses_token_is_neither_shown_nor_ended(page: Client) -> None:
    token = issued(make_user("grace"), "hers")

    answer = page.post(f"/account/tokens/{token.pk}/revoke/")

    token.refresh_from_db()
    assert answer.status_code == 404
    assert token.revoked_at is None
    assert "hers" not in text_of(page.get("/account/"))


def test_a_link_never_ends_a_token(page: Client, ada: User) -> None:
    assert page.get(f"/account/tokens/{issued(ada).pk}/revoke/").status_code == 405


def test_a_hostile_name_is_shown_as_text(page: Client) -> None:
    make(page, name="<script>alert(1)</script>")

    assert "<script>alert" not in text_of(page.get("/account/"))
