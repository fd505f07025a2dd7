"""Logs written and read again, for tests."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runs import logs
from runs.logs import Writer
from runs.models import BlockRun

NOON = datetime(2025, 3, 2, 12, tzinfo=UTC)


def path_of(block_run: BlockRun) -> Path:
    return logs.path(block_run.pipeline_run_id, block_run.pk, block_run.attempt)


def open_log(block_run: BlockRun, masked: tuple[str, ...] = ()) -> Writer:
    return Writer(path_of(block_run), lambda: NOON, masked)


def write(block_run: BlockRun, *chunks: bytes, masked: tuple[str, ...] = ()) -> list[str]:
    """Write chunks of stdout to a new log; return the texts of its lines."""
    log = open_log(block_run, masked)
    for chunk in chunks:
        log.output("stdout", chunk)
    log.close()
    return texts(block_run)


def texts(block_run: BlockRun) -> list[str]:
    return [line["m"] for line in read_all(block_run)]


def read_all(block_run: BlockRun, limit: int = 65536, offset: int = 0) -> list[dict[str, Any]]:
    """Read page by page from `offset` until a page says that it is the last."""
    lines = []
    while True:
        page = logs.read(block_run, offset=offset, limit=limit)
        lines += page.lines
        assert page.next_offset > offset or page.at_end, "a page that goes nowhere"
        offset = page.next_offset
        if page.at_end:
            return lines
