"""`create_token` prints a token alone, or says in one line what was wrong."""

import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from orchestrator_site import tokens
from orchestrator_site.models import ApiToken
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def create_token(*arguments: str) -> str:
    out = io.StringIO()
    call_command("create_token", *arguments, stdout=out)
    return out.getvalue()


def refused(*arguments: str) -> str:
    err = io.StringIO()
    with pytest.raises(SystemExit) as stop:
        call_command("create_token", *arguments, stdout=io.StringIO(), stderr=err)
    assert stop.value.code == 2
    assert not ApiToken.objects.exists()
    return err.getvalue()


def test_it_prints_the_token_alone() -> None:
    ada = make_user()

    plain = create_token("ada").removesuffix("\n")

    token = tokens.verify(plain, timezone.now())
    assert token is not None
    assert token.user == ada
    assert token.scopes == ["read", "run"]


def test_a_token_lives_ninety_days_unless_told_otherwise() -> None:
    make_user()

    create_token("ada")
    create_token("ada", "--expires", "12h", "--scopes", "read", "--name", "nightly")

    usual, short = ApiToken.objects.order_by("id")
    assert usual.expires_at is not None
    assert short.expires_at is not None
    assert timedelta(days=89) < usual.expires_at - timezone.now() <= timedelta(days=90)
    assert short.expires_at - timezone.now() <= timedelta(hours=12)
    assert (short.scopes, short.name) == (["read"], "nightly")


def test_an_unknown_user_is_refused_with_the_nearest_name() -> None:
    make_user("grace")

    assert refused("grcae") == "No active user is named 'grcae'. Did you mean grace?\n"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--expires", "soon"], "For example 90d"),
        (["--expires=-1d"], "For example 90d"),
        (["--expires=0d"], "within a year"),
        (["--expires=400d"], "within a year"),
        (["--expires=99999w"], "within a year"),
        (["--scopes", "admin"], "Use read, run, write."),
        (["--scopes", ","], "Use read, run, write."),
        (["--name", "a\nb"], "printable"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], part: str) -> None:
    make_user()

    assert part in refused("ada", *arguments)
