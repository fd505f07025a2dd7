"""Who gets into the API: sessions with CSRF, tokens with their scopes, nobody else."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from rest_framework.test import APIClient

from orchestrator_site import tokens
from tests.factories import make_pipeline, make_run

pytestmark = pytest.mark.django_db

RUNS = "/api/v1/pipeline_runs"
OPEN = {"/healthz", "/readyz", "/login/", "/admin/login/"}


def bearer(user: User, *scopes: str, **changes: datetime) -> str:
    moment = timezone.now()
    fields = {"expires_at": moment + timedelta(days=1), "moment": moment} | changes
    return "Bearer " + tokens.issue(user, name="t", scopes=scopes, **fields)[1]


def client_with(authorization: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=authorization)
    return client


def test_a_token_reads(ada: User) -> None:
    assert client_with(bearer(ada, "read")).get(RUNS).status_code == 200


def test_drfs_word_for_a_token_is_understood(ada: User) -> None:
    assert client_with(bearer(ada, "read").replace("Bearer", "Token")).get(RUNS).status_code == 200


def test_every_wrong_credential_gives_the_same_401(ada: User) -> None:
    long_ago = timezone.now() - timedelta(days=10)
    expired = bearer(ada, "read", moment=long_ago, expires_at=long_ago + timedelta(days=1))
    wrong = bearer(ada, "read")[:-1] + "?"

    headers = [
        "",
        "Bearer",
        "Bearer x y",
        "nonsense",
        "Basic YTpi",
        "Bearer orc_aaaaaaaa_b",
        "Bearer \xff",
        wrong,
        expired,
    ]
    answers = [client_with(header).get(RUNS) for header in headers]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {'Bearer realm="orchestrator"'}
    assert {answer.headers["Content-Type"] for answer in answers} == {"application/problem+json"}


def test_a_revoked_token_gives_401(ada: User) -> None:
    authorization = bearer(ada, "read")
    tokens.revoke(ada.api_tokens.get(), timezone.now())

    assert client_with(authorization).get(RUNS).status_code == 401


def test_a_wrong_token_is_not_saved_by_a_session(ada: User) -> None:
    client = client_with("Bearer orc_aaaaaaaa_b")
    client.login(username="ada", password="correct horse")

    assert client.get(RUNS).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("get", "/api/v1/pipelines", "read"),
        ("get", "/api/v1/system/", "read"),
        ("get", "/api/v1/tokens", "read"),
        ("get", "/api/schema/", "read"),
        ("get", "/api/v1/pipeline_schedules/1/preview", "read"),
        ("post", "/api/v1/pipelines/etl/pipeline_runs", "run"),
        ("post", "/api/v1/pipeline_schedules/1/pipeline_runs", "run"),
        ("post", "/api/v1/pipeline_schedules/1/pause", "run"),
        ("post", "/api/v1/pipeline_schedules/1/resume", "run"),
        ("post", f"{RUNS}/1/cancel", "run"),
        ("post", f"{RUNS}/1/retry", "run"),
        ("post", "/api/v1/pipeline_schedules", "write"),
        ("patch", "/api/v1/pipeline_schedules/1", "write"),
        ("delete", "/api/v1/pipeline_schedules/1", "write"),
        ("post", "/api/v1/pipeline_schedules/1/rotate_token", "write"),
        ("post", "/api/v1/tokens", "write"),
        ("delete", "/api/v1/tokens/1", "write"),
    ],
)
def test_each_action_asks_for_its_scope(ada: User, method: str, path: str, scope: str) -> None:
    others = [other for other in tokens.SCOPES if other != scope]

    refused = getattr(client_with(bearer(ada, *others)), method)(path)
    taken = getattr(client_with(bearer(ada, scope)), method)(path)

    assert refused.status_code == 403
    assert refused.json()["code"] == "missing_scope"
    assert scope in refused.json()["detail"]
    assert taken.status_code not in (401, 403)


def test_a_session_writes_only_with_its_csrf_token(ada: User) -> None:
    make_pipeline()
    client = APIClient(enforce_csrf_checks=True)
    client.login(username="ada", password="correct horse")

    without = client.post("/api/v1/pipelines/etl/pipeline_runs", {}, format="json")
    client.get("/login/")
    client.cookies["csrftoken"] = token = "a" * 32
    with_it = client.post("/api/v1/pipelines/etl/pipeline_runs", {}, format="json", HTTP_X_CSRFTOKEN=token)

    assert without.status_code == 403
    assert without.headers["Content-Type"] == "application/problem+json"
    assert with_it.status_code == 201


def test_json_that_says_it_is_text_is_not_read(ada: User) -> None:
    make_pipeline()
    client = APIClient()
    client.force_login(ada)

    answer = client.generic("POST", "/api/v1/pipelines/etl/pipeline_runs", "{}", content_type="text/plain")

    assert answer.status_code == 415


def addresses(patterns: list[URLPattern | URLResolver], before: str = "/") -> Iterator[str]:
    for pattern in patterns:
        text = before + sample(str(pattern.pattern))
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, text)
        else:
            yield text


def sample(pattern: str) -> str:
    """An address that the pattern matches: every parameter is 1."""
    import re

    pattern = re.sub(r"\(\?P<\w+>(?:\[[^]]*\][^)]*|[^)]*)\)", "1", pattern)
    pattern = re.sub(r"\(\?:/1\)\?", "/1", pattern)
    pattern = re.sub(r"<[^>]+>", "1", pattern)
    return pattern.replace("/?", "").replace("^", "").replace("$", "").replace("\\Z", "").replace("\\.", ".")


def test_nothing_but_login_and_probes_is_open_to_strangers() -> None:
    make_run()
    found = {address.replace("//", "/") for address in addresses(get_resolver().url_patterns)}
    client = Client(raise_request_exception=False)

    answered = {
        (method, address)
        for address in found - OPEN
        for method in ("get", "head", "options", "post", "put", "patch", "delete")
        if getattr(client, method)(address).status_code < 300
    }

    assert len(found) > 40
    assert "/api/v1/pipeline_runs/1/cancel" in found
    assert answered == set()


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/pipelines/health",
        "/api/v1/pipelines/1/healthz",
        "/api/v1/pipelines/configs",
        "/api/v1/pipelines;x",
        "/api/v1/pipelines%2fhealthz",
        "/api//v1/pipelines",
        "/api/v1/./pipelines",
        "/API/v1/pipelines",
        "/api/v1/pipelines?format=json",
        "/api/v1/pipelines.json",
        "/api/v1/healthz",
        "/api/",
        "/api/unknown",
    ],
)
def test_no_spelling_of_an_address_opens_it(path: str) -> None:
    answer = Client().get(path)

    assert answer.status_code in (302, 401, 404)
    assert answer.status_code == 401 or not path.startswith("/api/")
