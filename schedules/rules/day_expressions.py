"""Expressions over calendars, `de_holidays or (weekend and not open_saturdays)`, read into a tree. Pure.

A name stands for the days of a calendar, `weekend` and `weekday` for those of the week. `not` binds closest, then
`and`, then `or`. What a tree says about a day is why it is one of its days, or None.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from itertools import product

from pipelines.refusal import Refusal

Days = Callable[[date], str | None]  # what a day of a calendar is called, None for a day that is not in it
DEEPEST = 20
WORDS = ("and", "or", "not")
NAME = re.compile(r"[a-z0-9_-]+", re.ASCII)
TOKEN = re.compile(r"\s*([a-zA-Z0-9_-]+|.)", re.ASCII | re.DOTALL)
SATURDAY = 5
MOST_NAMES_TRIED = 10


class InvalidDays(Refusal):
    """An expression over calendars that cannot be read, or a calendar that does not exist."""

    def __init__(self, message: str, *, hint: str = "", field: str = "settings.calendar") -> None:
        super().__init__(message, field=field, hint=hint, code="invalid_calendar")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "Did you mean …?" with the nearest of the known names, or ""."""
    near = get_close_matches(name[:80], known, n=1)
    return f"Did you mean {near[0]}?" if near else ""


def weekend(day: date) -> str | None:
    return f"{day:%A}" if day.weekday() >= SATURDAY else None


def weekday(day: date) -> str | None:
    return f"{day:%A}" if day.weekday() < SATURDAY else None


BUILTIN: Mapping[str, Days] = {"weekend": weekend, "weekday": weekday}


@dataclass(frozen=True)
class Why:
    """One reason: what the day is called and by which calendar ("" for a day that is not in one)."""

    name: str
    calendar: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.calendar})" if self.calendar else self.name


Whys = tuple[Why, ...]


@dataclass(frozen=True)
class Name:
    name: str

    def why(self, day: date, calendars: Mapping[str, Days]) -> Whys | None:
        called = calendars[self.name](day)
        return None if called is None else (Why(called, self.name),)

    def names(self) -> Iterator[str]:
        yield self.name

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Not:
    inner: "Expression"

    def why(self, day: date, calendars: Mapping[str, Days]) -> Whys | None:
        return None if self.inner.why(day, calendars) is not None else (Why(f"not in {self.inner}"),)

    def names(self) -> Iterator[str]:
        yield from self.inner.names()

    def __str__(self) -> str:
        return f"not {self.inner}"


@dataclass(frozen=True)
class And:
    left: "Expression"
    right: "Expression"

    def why(self, day: date, calendars: Mapping[str, Days]) -> Whys | None:
        left = self.left.why(day, calendars)
        right = None if left is None else self.right.why(day, calendars)
        if left is None or right is None:
            return None
        both = left + right
        return tuple(why for why in both if why.calendar) or both  # what a day is says more than what it is not

    def names(self) -> Iterator[str]:
        yield from self.left.names()
        yield from self.right.names()

    def __str__(self) -> str:
        return f"({self.left} and {self.right})"


@dataclass(frozen=True)
class Or:
    left: "Expression"
    right: "Expression"

    def why(self, day: date, calendars: Mapping[str, Days]) -> Whys | None:
        left = self.left.why(day, calendars)
        return self.right.why(day, calendars) if left is None else left

    def names(self) -> Iterator[str]:
        yield from self.left.names()
        yield from self.right.names()

    def __str__(self) -> str:
        return f"({self.left} or {self.right})"


Expression = Name | Not | And | Or


@dataclass(frozen=True)
class Token:
    text: str
    position: int  # of its first character, from 1


def read_expression(text: str) -> Expression:
    """Read an expression; raise `InvalidDays` naming the position and what would be right there."""
    tokens = [Token(match[1], match.start(1) + 1) for match in TOKEN.finditer(text.rstrip())]
    reader = Reader([*tokens, Token("", len(text.rstrip()) + 1)])
    found = reader.either()
    if reader.here.text:
        raise reader.refuse("and, or, or the end")
    if is_always_true(found):
        raise InvalidDays(f"The calendar {text.strip()!r} holds every day, so nothing would ever run.")
    return found


@dataclass
class Reader:
    """Where the reading of an expression has come to."""

    tokens: list[Token]
    at: int = 0
    depth: int = 0

    @property
    def here(self) -> Token:
        return self.tokens[self.at]

    def takes(self, word: str) -> bool:
        """Step over this word if it comes next."""
        found = self.here.text == word
        self.at += found
        return found

    def either(self) -> Expression:
        found = self.both()
        while self.takes("or"):
            found = Or(found, self.both())
        return found

    def both(self) -> Expression:
        found = self.one()
        while self.takes("and"):
            found = And(found, self.one())
        return found

    def one(self) -> Expression:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.refuse(f"at most {DEEPEST} parentheses and nots within each other")
        if self.takes("not"):
            found: Expression = Not(self.one())
        elif self.takes("("):
            found = self.either()
            if not self.takes(")"):
                raise self.refuse("and, or, or a closing parenthesis")
        else:
            found = self.name()
        self.depth -= 1
        return found

    def name(self) -> Name:
        text = self.here.text
        if text in WORDS or not NAME.fullmatch(text):
            raise self.refuse("the name of a calendar, not, or an opening parenthesis")
        self.at += 1
        return Name(text)

    def refuse(self, wanted: str) -> InvalidDays:
        text = self.here.text
        hint = "For example de_holidays or (weekend and not open_saturdays)."
        if text.lower() != text and text[0].isalpha():
            hint = f"Names and words are in small letters: {text.lower()[:80]}."
        if not text:
            return InvalidDays(f"Position {self.here.position}, the end: wanted {wanted}.", hint=hint)
        shown = text if text.isprintable() and len(text) <= 80 else ascii(text[:80])
        return InvalidDays(f"Position {self.here.position}, {shown}: wanted {wanted}.", hint=hint)


def is_always_true(tree: Expression) -> bool:
    """Would every day be a hit, whatever the days of the calendars are?"""
    names = sorted(set(tree.names()) - BUILTIN.keys())
    if len(names) > MOST_NAMES_TRIED:
        return False
    week = (date(2024, 1, 5), date(2024, 1, 6))  # a Friday, a Saturday
    for answers in product((nothing, anything), repeat=len(names)):
        calendars = {**BUILTIN, **dict(zip(names, answers, strict=True))}
        if any(tree.why(day, calendars) is None for day in week):
            return False
    return True


def nothing(day: date) -> None:
    return None


def anything(day: date) -> str:
    return f"{day}"
