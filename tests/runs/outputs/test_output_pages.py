"""Downloads over HTTP: links of the page, and the API."""

from pathlib import Path
from typing import Any

import pandas
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.test import AsyncClient, Client

from tests.factories import NOON, make_client, text_of
from tests.runs.outputs.stored import with_output

pytestmark = pytest.mark.django_db
FRAME = pandas.DataFrame({"a": range(7000)})


def sent(answer: Any) -> bytes:
    return b"".join(answer.streaming_content)


def test_the_page_offers_the_formats(page: Client, settings: Any, tmp_path: Path) -> None:
    run, row = with_output(FRAME, settings, tmp_path)

    text = text_of(page.get(f"/runs/{run.pk}/?block=load"))

    for form in ("csv", "parquet", "json"):
        assert f'href="/runs/{run.pk}/blocks/{row.pk}/outputs/output_0.{form}"' in text


def test_a_download_is_an_attachment(page: Client, settings: Any, tmp_path: Path) -> None:
    run, row = with_output(FRAME, settings, tmp_path)

    answer = page.get(f"/runs/{run.pk}/blocks/{row.pk}/outputs/output_0.csv")

    assert answer.headers["Content-Disposition"] == f'attachment; filename="etl-{run.pk}-load-output_0.csv"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert sent(answer).count(b"\r\n") == 7001


@pytest.mark.django_db(transaction=True)
def test_it_streams_from_an_async_server_too(ada: User, settings: Any, tmp_path: Path) -> None:
    run, row = with_output(FRAME, settings, tmp_path)

    async def get() -> bytes:
        client = AsyncClient()
        await client.aforce_login(ada)
        answer = await client.get(f"/runs/{run.pk}/blocks/{row.pk}/outputs/output_0.csv")
        return b"".join([piece async for piece in answer.streaming_content])  # type: ignore[attr-defined]

    assert async_to_sync(get)().count(b"\r\n") == 7001


@pytest.mark.parametrize(
    ("removed", "file", "status", "words"),
    [
        (None, "output_9.csv", 404, "has no output"),
        (None, "output_0.xlsx", 409, "cannot be had as xlsx"),
        (NOON, "output_0.csv", 410, "Retention removed the outputs"),
    ],
)
def test_what_cannot_be_had_is_said_in_words(
    page: Client, settings: Any, tmp_path: Path, removed: Any, file: str, status: int, words: str
) -> None:
    run, row = with_output(FRAME, settings, tmp_path, outputs_removed_at=removed)

    answer = page.get(f"/runs/{run.pk}/blocks/{row.pk}/outputs/{file}")

    assert answer.status_code == status
    assert words in text_of(answer)


def test_a_block_of_another_run_is_not_found(page: Client, settings: Any, tmp_path: Path) -> None:
    run, row = with_output(FRAME, settings, tmp_path)

    assert page.get(f"/runs/{run.pk + 1}/blocks/{row.pk}/outputs/output_0.csv").status_code == 404
    assert page.get(f"/runs/{run.pk}/blocks/{row.pk + 99}/outputs/output_0.csv").status_code == 404


def test_the_api_tells_the_formats_and_sends_the_file(settings: Any, tmp_path: Path) -> None:
    _, row = with_output([{"a": 1}], settings, tmp_path)
    client, address = make_client(), f"/api/v1/block_runs/{row.pk}/outputs"

    assert client.get(address).json()["results"][0]["formats"] == ["csv", "parquet", "json"]
    assert sent(client.get(f"{address}/output_0?as=csv", headers={"Accept": "text/csv"})) == b"a\r\n1\r\n"
    assert sent(client.get(f"{address}/output_0")) == b'[{"a":1}]'


@pytest.mark.parametrize(
    ("file", "status", "code"),
    [
        ("output_9", 404, "unknown_output"),
        ("output_0?as=xlsx", 400, "invalid_choice"),
        ("output_0?as=bin", 409, "not_in_this_format"),
        ("output_0?form=csv", 400, "unknown_parameter"),
    ],
)
def test_the_api_says_why_not(settings: Any, tmp_path: Path, file: str, status: int, code: str) -> None:
    _, row = with_output(FRAME, settings, tmp_path)

    answer = make_client().get(f"/api/v1/block_runs/{row.pk}/outputs/{file}")

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_what_was_removed_is_gone_in_the_api(settings: Any, tmp_path: Path) -> None:
    _, row = with_output(FRAME, settings, tmp_path, outputs_removed_at=NOON)

    assert make_client().get(f"/api/v1/block_runs/{row.pk}/outputs/output_0").status_code == 410
