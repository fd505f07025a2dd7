"""Bodies that the API does not take: refused with the place and the limit, and nothing started."""

import gzip
import json
from typing import Any

import pytest
from django.http import HttpResponse

from runs.models import PipelineRun
from tests.factories import make_client, make_pipeline

pytestmark = pytest.mark.django_db

START = "/api/v1/pipelines/etl/pipeline_runs"
MEGABYTE = 1024 * 1024


@pytest.fixture(autouse=True)
def _pipeline() -> None:
    make_pipeline("etl")


def send(body: bytes | str, content_type: str = "application/json", **headers: str) -> Any:
    answer: HttpResponse = make_client().generic("POST", START, body, content_type=content_type, headers=headers)
    return answer


def nested(depth: int) -> str:
    return '{"variables":' * depth + "{}" + "}" * depth


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ("{", "line 1, column 2"),
        ('{"variables": {}', "line 1, column 17"),
        ('{\n  "variables": {},\n}', "line 3, column 1"),
        ("variables=1", "line 1, column 1"),
        ("[]", "JSON object"),
        ("null", "JSON object"),
        ("3", "JSON object"),
        ('{"variables": {"a": NaN}}', "NaN is not JSON"),
        ('{"variables": {"a": -Infinity}}', "-Infinity is not JSON"),
        ('{"variables": {"a": 1e400}}', "1e400 is too large"),
        ('{"variables": {"a": ' + "1" * 5000 + "}}", "too many digits"),
        ('{"variables": {"a": 1, "a": 2}}', "'a' is given twice"),
        ('{"variables": {"a": "\\u0000"}}', "cannot be stored"),
        ('{"variables": {"\\u0000": 1}}', "cannot be stored"),
        ('{"variables": {"a": "\\ud800"}}', "cannot be stored"),
        (b'{"variables": {"a": "\xff"}}', "not UTF-8 at byte 21"),
        (nested(33), "deeper than 32"),
        ("[" * 100_000, "deeper than 32"),
        ('{"variables": {"a": ' + json.dumps([0] * 5001) + "}}", "5,001 items; the limit is 5,000"),
        ('{"variables": []}', "A JSON object is wanted"),
        ('{"variables": "a=1"}', "A JSON object is wanted"),
        ('{"variables": null}', "null"),
        ('{"varibles": {}}', "Did you mean variables?"),
        ('{"execution_date": "2025-02-28"}', "ISO 8601 with a zone"),
        ('{"execution_date": "2025-02-30T00:00:00Z"}', "ISO 8601 with a zone"),
        ('{"execution_date": "10000-01-01T00:00:00Z"}', "ISO 8601 with a zone"),
        ('{"execution_date": "0001-01-01T00:00:00+14:00"}', "ISO 8601 with a zone"),
        ('{"execution_date": 5}', "ISO 8601 with a zone"),
    ],
)
def test_a_wrong_body_is_refused_with_its_place(body: str | bytes, part: str) -> None:
    answer = send(body)

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert part in answer.content.decode("unicode_escape")
    assert not PipelineRun.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'\xef\xbb\xbf{"variables": {}}',
        b'{"variables": {"a": "\xc3\xa9 \xf0\x9f\x98\x80"}}',
        b'{"variables": {"a": 1e300, "b": [[]], "c": 12345678901234567890}}',
    ],
)
def test_an_odd_but_right_body_is_taken(body: bytes) -> None:
    assert send(body).status_code == 201


def test_a_body_over_a_megabyte_is_too_large() -> None:
    answer = send('{"variables": {"a": "' + "x" * MEGABYTE + '"}}')

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert "1,048,576" in answer.json()["detail"]


def test_a_packed_body_is_unpacked_within_the_limit() -> None:
    small, bomb = gzip.compress(b'{"variables": {"a": 1}}'), gzip.compress(b" " * 50 * MEGABYTE)

    taken = send(small, **{"Content-Encoding": "gzip"})
    too_large = send(bomb, **{"Content-Encoding": "gzip"})
    not_packed = send("{}", **{"Content-Encoding": "gzip"})

    assert taken.json()["variables"] == {"a": 1}
    assert too_large.status_code == 413
    assert not_packed.status_code == 400


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_only_json_is_read(content_type: str) -> None:
    answer = send('{"variables": {}}', content_type)

    assert answer.status_code == 415
    assert answer.json()["code"] == "unsupported_media_type"


def test_every_mistake_is_told_at_once_with_its_pointer() -> None:
    answer = send('{"varibles": {}, "variables": 1, "execution_date": 1}')

    body = answer.json()
    assert body["detail"] == "3 mistakes: varibles, variables, execution_date."
    assert [each["pointer"] for each in body["errors"]] == ["/varibles", "/variables", "/execution_date"]
    assert [each["code"] for each in body["errors"]] == ["unknown_field", "not_an_object", "invalid_datetime"]
