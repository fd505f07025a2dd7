"""A user's own tokens over HTTP."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from orchestrator_site import tokens
from orchestrator_site.models import ApiToken
from tests.factories import JSONClient, make_client, make_user

pytestmark = pytest.mark.django_db

TOKENS = "/api/v1/tokens"


def make_token(name: str = "t", scopes: tuple[str, ...] = ("read",), username: str = "ada") -> tuple[ApiToken, str]:
    from django.contrib.auth.models import User

    user = User.objects.filter(username=username).first() or make_user(username)
    moment = timezone.now()
    return tokens.issue(user, name=name, scopes=scopes, expires_at=moment + timedelta(days=1), moment=moment)


def client_with(plain: str) -> JSONClient:
    client = JSONClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {plain}")
    return client


def test_a_token_is_shown_when_it_is_made_and_never_again() -> None:
    client = make_client()

    made = client.post(TOKENS, {"name": "ci", "scopes": ["read", "run"]})

    body = made.json()
    life = datetime.fromisoformat(body["expires_at"]) - timezone.now()
    assert made.status_code == 201
    assert timedelta(days=89) < life <= timedelta(days=90)
    assert client_with(body["token"]).get(TOKENS).status_code == 200
    assert body["token"] not in client.get(TOKENS).content.decode()
    assert body["token"] not in client.get(f"{TOKENS}/{body['id']}").content.decode()


def test_only_ones_own_tokens_are_seen_and_revoked() -> None:
    mine, _ = make_token()
    others, _ = make_token(username="grace")
    client = make_client()

    listed = client.get(TOKENS).json()["results"]
    look, end = client.get(f"{TOKENS}/{others.pk}"), client.delete(f"{TOKENS}/{others.pk}")

    assert [row["id"] for row in listed] == [mine.pk]
    assert (look.status_code, end.status_code) == (404, 404)
    others.refresh_from_db()
    assert others.revoked_at is None


def test_a_revoked_token_ends_at_once() -> None:
    token, plain = make_token()

    answer = make_client().delete(f"{TOKENS}/{token.pk}")

    assert answer.status_code == 204
    assert client_with(plain).get(TOKENS).status_code == 401
    assert make_client().get(f"{TOKENS}/{token.pk}").json()["revoked_at"] is not None


def test_a_token_cannot_make_one_that_may_do_more() -> None:
    _, plain = make_token(scopes=("read", "write"))

    more = client_with(plain).post(TOKENS, {"name": "x", "scopes": ["read", "run"]})
    less = client_with(plain).post(TOKENS, {"name": "x", "scopes": ["read"]})

    assert (more.status_code, more.json()["code"]) == (403, "missing_scope")
    assert less.status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["read"]}, "name"),
        ({"name": "", "scopes": ["read"]}, "name"),
        ({"name": "x"}, "scopes"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["admin"]}, "scopes"),
        ({"name": "x", "scopes": "read"}, "scopes"),
        ({"name": "x", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "scopes": ["read"], "expires_at": "2200-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "scopes": ["read"], "user": 2}, "user"),
        ({"name": "x", "scopes": ["read"], "key_hash": "x"}, "key_hash"),
        ({"name": "x", "scopes": ["read"], "is_superuser": True}, "is_superuser"),
    ],
)
def test_a_wrong_token_is_refused_naming_the_field(body: dict[str, Any], field: str) -> None:
    answer = make_client().post(TOKENS, body)

    assert answer.status_code == 400
    assert field in [each["field"] for each in answer.json()["errors"]]
    assert not ApiToken.objects.exists()


def test_the_admin_site_shows_no_hash_and_revokes(admin_client: Any) -> None:
    token, _ = make_token()

    pages = [admin_client.get(f"/admin/orchestrator_site/apitoken/{path}") for path in ("", f"{token.pk}/change/")]
    add = admin_client.get("/admin/orchestrator_site/apitoken/add/")
    admin_client.post("/admin/orchestrator_site/apitoken/", {"action": "revoke", "_selected_action": [token.pk]})

    token.refresh_from_db()
    assert all(page.status_code == 200 and token.key_hash.encode() not in page.content for page in pages)
    assert add.status_code == 403
    assert token.revoked_at is not None
