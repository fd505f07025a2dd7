"""API tokens: issued once, verified without telling, expiring, revocable."""

import re
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User

from orchestrator_site import tokens
from orchestrator_site.models import ApiToken
from pipelines.refusal import Refusal

pytestmark = pytest.mark.django_db

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def issue(user: User, moment: datetime, **changes: object) -> tuple[ApiToken, str]:
    fields: dict[str, object] = {"name": "ci", "scopes": ["read"], "expires_at": moment + 90 * DAY} | changes
    return tokens.issue(user, moment=moment, **fields)  # type: ignore[arg-type]


def test_a_token_can_be_found_by_scanners_and_holds_256_random_bits(ada: User, now: datetime) -> None:
    token, plain = issue(ada, now)

    assert re.fullmatch(rf"orc_{token.key_id}_[\w-]{{43}}", plain)
    assert len(token.key_id) == 8


def test_the_database_holds_nothing_that_can_be_sent(ada: User, now: datetime) -> None:
    token, plain = issue(ada, now)

    row = ApiToken.objects.filter(pk=token.pk).values().get()
    assert plain not in str(row)
    assert plain[13:] not in str(row)


def test_a_token_verifies_as_its_user(ada: User, now: datetime) -> None:
    token, plain = issue(ada, now)

    assert tokens.verify(plain, now) == token


@pytest.mark.parametrize(
    "change",
    [
        lambda plain: plain[:-1],
        lambda plain: plain + "x",
        lambda plain: plain.upper(),
        lambda plain: "orc_zzzzzzzz" + plain[12:],
        lambda plain: plain[4:],
        lambda plain: "",
        lambda plain: "orc_",
        lambda plain: "orc_%'--\x00\u00e9",
        lambda plain: "x" * 100_000,
    ],
)
def test_no_other_text_verifies(ada: User, now: datetime, change: object) -> None:
    _, plain = issue(ada, now)

    assert tokens.verify(change(plain), now) is None  # type: ignore[operator]


def test_a_token_ends_with_its_expiry(ada: User, now: datetime) -> None:
    _, plain = issue(ada, now, expires_at=now + DAY)

    assert tokens.verify(plain, now + DAY - MINUTE) is not None
    assert tokens.verify(plain, now + DAY) is None


def test_a_revoked_token_ends_at_once_and_its_row_stays(ada: User, now: datetime) -> None:
    token, plain = issue(ada, now)

    tokens.revoke(token, now)

    assert tokens.verify(plain, now) is None
    assert ApiToken.objects.get().revoked_at == now


def test_a_token_ends_with_its_user(ada: User, now: datetime) -> None:
    _, plain = issue(ada, now)

    ada.is_active = False
    ada.save()

    assert tokens.verify(plain, now) is None


def test_last_use_is_written_at_most_once_a_minute(ada: User, now: datetime) -> None:
    token, plain = issue(ada, now)

    seen = []
    for seconds in (0, 30, 59, 60, 61):
        tokens.verify(plain, now + timedelta(seconds=seconds))
        token.refresh_from_db()
        assert token.last_used_at is not None
        seen.append((token.last_used_at - now).total_seconds())

    assert seen == [0, 0, 0, 60, 60]


def test_verifying_is_one_query(ada: User, now: datetime, django_assert_num_queries: object) -> None:
    _, plain = issue(ada, now)
    tokens.verify(plain, now)

    with django_assert_num_queries(1):  # type: ignore[operator]
        tokens.verify(plain, now)
    with django_assert_num_queries(1):  # type: ignore[operator]
        tokens.verify("nonsense", now)


def test_scopes_are_kept_in_order_and_once(ada: User, now: datetime) -> None:
    token, _ = issue(ada, now, scopes=["write", "read", "read"])

    assert token.scopes == ["read", "write"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["admin"]}, "scopes"),
    ],
)
def test_a_wrong_token_is_refused_naming_the_field(
    ada: User, now: datetime, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(Refusal) as refusal:
        issue(ada, now, **changes)

    assert refusal.value.field == field
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize("life", [timedelta(0), -DAY, 367 * DAY])
def test_a_token_lives_for_a_year_at_most(ada: User, now: datetime, life: timedelta) -> None:
    with pytest.raises(Refusal, match="within a year"):
        issue(ada, now, expires_at=now + life)


@pytest.mark.parametrize(
    ("header", "is_known"),
    [("Bearer {}", True), ("Token {}", True), ("bearer   {}", True), ("{}", False), ("Basic {}", False), ("", False)],
)
def test_a_header_tells_whose_token_it_holds(ada: User, now: datetime, header: str, is_known: bool) -> None:
    _, plain = issue(ada, now)

    user = tokens.user_for_header(header.format(plain), now)

    assert user == (ada if is_known else None)


def test_a_token_that_may_not_read_opens_nothing(ada: User, now: datetime) -> None:
    _, plain = issue(ada, now, scopes=["run"])

    assert tokens.user_for_header(f"Bearer {plain}", now) is None
