"""`create_token USER`: an API token for a program, printed once."""

import re
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser
from django.utils import timezone

from orchestrator_site import tokens
from pipelines.commands import RefusingCommand
from pipelines.graph import nearest
from pipelines.refusal import Refusal

UNITS = {"d": "days", "h": "hours", "w": "weeks"}


class Command(RefusingCommand):
    help = (
        "Make an API token for a user and print it, alone, on stdout: the only time that it is shown. "
        "Send it as `Authorization: Bearer <token>`."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the name that the user signs in with")
        parser.add_argument(
            "--scopes",
            default="read,run",
            help="what it may do: read, run (start, cancel, retry), write (default: %(default)s)",
        )
        parser.add_argument(
            "--expires",
            default="90d",
            help="days (90d), weeks or hours from now (default: %(default)s, at most a year)",
        )
        parser.add_argument("--name", default="", help="what it is for, as lists show it")

    def handle(self, *args: Any, **options: Any) -> None:
        moment = timezone.now()
        _, plain = tokens.issue(
            find_user(options["user"]),
            name=options["name"] or f"made on {moment:%Y-%m-%d}",
            scopes=[scope.strip() for scope in options["scopes"].split(",") if scope.strip()],
            expires_at=moment + read_life(options["expires"]),
            moment=moment,
        )
        self.stdout.write(plain)


def find_user(username: str) -> User:
    user = User.objects.filter(username=username, is_active=True).first() if "\x00" not in username else None
    if user is None:
        names = User.objects.filter(is_active=True).values_list("username", flat=True)
        raise Refusal(f"No active user is named {username[:80]!r}.", field="user", hint=nearest(username, names[:100]))
    return user


def read_life(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,5})([dhw])", text.strip())
    if not found:
        raise Refusal(
            f"--expires {text[:80]!r} is no length of time.", field="expires", hint="For example 90d, 12h or 4w."
        )
    return timedelta(**{UNITS[found[2]]: int(found[1])})
