"""Request bodies: JSON and nothing that only looks like it, within limits, with the place of each mistake."""

import json
import math
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, NoReturn

from rest_framework.exceptions import APIException
from rest_framework.parsers import BaseParser

from pipelines.refusal import Refusal

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_ITEMS = 5000
LONGEST_PATH = 80  # of what a mistake is said to be in


class TooLarge(APIException):
    status_code = 413
    default_detail = f"The body is larger than {MAX_BYTES:,} bytes."
    default_code = "too_large"


class InvalidJSON(Refusal):
    """The body is not JSON that can be kept."""

    def __init__(self, message: str, *, hint: str = "", field: str = "") -> None:
        super().__init__(message, hint=hint, field=field, code="invalid_json")


class StrictJSONParser(BaseParser):
    """`application/json`, at most 1 MB (also once unpacked), 32 levels, 5,000 items in a list; no NaN, no key twice."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        raw = stream.read(MAX_BYTES + 1)
        if parser_context and parser_context["request"].headers.get("Content-Encoding") == "gzip":
            raw = unpacked(raw)
        if len(raw) > MAX_BYTES:
            raise TooLarge
        return read_json(raw)


class AnyTypeJSONParser(StrictJSONParser):
    """JSON whatever the content type says: `curl -d` says form. Only for views that ignore cookies."""

    media_type = "*/*"


def unpacked(raw: bytes) -> bytes:
    """Undo gzip, but never past one byte more than the limit."""
    try:
        return zlib.decompressobj(wbits=31).decompress(raw, MAX_BYTES + 1)
    except zlib.error:
        raise InvalidJSON("The body is not gzip, though Content-Encoding says so.") from None


def read_json(raw: bytes) -> Any:
    """Return the value in `raw`, or raise `InvalidJSON` with line and column."""
    try:
        value = json.loads(
            raw.decode("utf-8-sig"),
            object_pairs_hook=without_repeats,
            parse_constant=refuse_constant,
            parse_float=finite,
        )
    except UnicodeDecodeError as error:
        raise InvalidJSON(f"The body is not UTF-8 at byte {error.start}.") from None
    except json.JSONDecodeError as error:
        raise InvalidJSON(f"The body is not JSON: line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except RecursionError:
        raise too_deep() from None
    except Refusal:
        raise
    except ValueError:  # Python's own limit on the digits of a number
        raise InvalidJSON("A number in the body has too many digits.") from None
    check_limits(value)
    return value


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidJSON(f"The key {twice[:80]!r} is given twice.", hint="Keep one.")
    return result


def refuse_constant(word: str) -> NoReturn:
    raise InvalidJSON(f"{word} is not JSON.", hint="Use null or a number.")


def finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise InvalidJSON(f"The number {text[:80]} is too large.")
    return number


def check_limits(value: Any) -> None:
    """Raise `InvalidJSON` for what is too deep or too long, or holds text that no database keeps."""
    level = [("", value)]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for path, outer in level for inner in parts(path, outer)]
        if not level:
            return
    raise too_deep(level[0][0].partition(".")[0])


def parts(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is in a value, each with its path: "settings.after.pipelines.0"."""
    if isinstance(value, str):
        check_text(value, path)
    elif isinstance(value, list):
        if len(value) > MAX_ITEMS:
            what = f"A list in the body has {len(value):,} items; the limit is {MAX_ITEMS:,}."
            raise InvalidJSON(what, field=path)
        for number, inner in enumerate(value):
            yield joined(path, str(number)), inner
    elif isinstance(value, dict):
        for name, inner in value.items():
            check_text(name, path)
            yield joined(path, name), inner


def joined(path: str, step: str) -> str:
    if len(path) > LONGEST_PATH:
        return path
    return f"{path}.{step[:LONGEST_PATH]}" if path else step[:LONGEST_PATH]


def check_text(text: str, path: str = "") -> None:
    if "\x00" in text or (not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)):
        raise InvalidJSON(f"{text[:80]!r} contains a character that cannot be stored.", field=path)


def too_deep(field: str = "") -> InvalidJSON:
    return InvalidJSON(f"The body is nested deeper than {MAX_DEPTH} levels.", field=field)
