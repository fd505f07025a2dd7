"""The page of one log: a thousand lines at a time, with filters, hits and links to lines; and the log as files."""

import json
import time
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET

from runs import log_lines, logs
from runs.figures.figures import log_is_gone
from runs.models import BlockRun
from runs.searching.log_forms import LogForm
from runs.searching.scanning import Found, Wanted, scan
from runs.storing.store import StoreError

LINES = 1000  # of a page
BEFORE = 200  # lines above the one that was asked for
PATIENCE = 0.7  # seconds for filters, and as much for hits
MOST_HITS = 10_000
FIRST_ERROR = Wanted(level="ERROR")


@require_GET
def page(request: HttpRequest, run_id: int, block_run_id: int, attempt: int) -> HttpResponse:
    block_run = find(run_id, block_run_id, attempt)
    try:
        return shown(request, block_run, attempt)
    except StoreError as error:
        return render(request, "runs/log_away.html", {"b": block_run, "error": error}, status=503)


def shown(request: HttpRequest, block_run: BlockRun, attempt: int) -> HttpResponse:
    form = LogForm(request.GET)
    address = reverse("runs:log", args=[block_run.pipeline_run_id, block_run.pk, attempt])
    here = place_of(form, block_run, attempt)
    if here is not None and form.asked("at") == "error":
        return redirect(f"{address}?at={here}#L{here}")
    hits = hits_of(form, block_run, attempt)
    if here is None and hits.lines and "from" not in request.GET:
        first = hits.lines[0]["o"]
        return redirect(f"{address}?{urlencode({'q': form.asked('q'), 'at': first})}#L{first}")
    view = filtered(form, block_run, attempt) if is_narrow(form) else excerpt(form, block_run, attempt, here)
    whole = request.GET.get("full") == "1"
    lines = view.pop("lines")
    context = {
        "form": form,
        "b": block_run,
        "run": block_run.pipeline_run,
        "attempt": attempt,
        "attempts": sorted({*logs.attempts(block_run), block_run.attempt}),
        "rows": log_lines.rows(lines, address, form.asked("q"), -1 if here is None else here, whole=whole),
        "many": len(lines),
        "size": logs.size(block_run, attempt),
        "hits": beside(hits, here) if form.asked("q") and not is_narrow(form) else None,
        "missing_error": form.asked("at") == "error" and here is None,
        "is_gone": not lines and log_is_gone(block_run, attempt),
        "is_narrow": is_narrow(form),
        **view,
    }
    return render(request, "runs/log.html", context)


def is_narrow(form: LogForm) -> bool:
    """Whether only lines that fit are shown, and not the log with its hits marked."""
    return bool(form.asked("level") or form.asked("source") or (form.asked("only") and form.asked("q")))


def find(run_id: int, block_run_id: int, attempt: int) -> BlockRun:
    rows = BlockRun.objects.select_related("pipeline_run__pipeline").defer("config", "output", "fanout")
    small = max(run_id, block_run_id) < 2**63
    block_run = rows.filter(pk=block_run_id, pipeline_run=run_id).first() if small else None
    if block_run is None or not 1 <= attempt <= block_run.attempt:
        raise Http404(f"Run {str(run_id)[:80]} has no such log.")
    return block_run


def place_of(form: LogForm, block_run: BlockRun, attempt: int) -> int | None:
    """Return the offset of the line that was asked for: a number, or that of the first error."""
    if form.asked("at") != "error":
        return form.place("at")
    found = look(block_run, attempt, FIRST_ERROR, most=1)
    return found.lines[0]["o"] if found.lines else None


def look(block_run: BlockRun, attempt: int, wanted: Wanted, *, offset: int = 0, most: int) -> Found:
    parts = [part for part in logs.parts_of(block_run, attempt) if part.end > offset]
    return scan(parts, wanted, offset=offset, most=most, until=time.monotonic() + PATIENCE)


def hits_of(form: LogForm, block_run: BlockRun, attempt: int) -> Found:
    """Return the lines of the whole log with the text that is looked for, as far as they are found soon."""
    text = form.asked("q")
    return look(block_run, attempt, Wanted(text), most=MOST_HITS) if text and not is_narrow(form) else Found()


def beside(hits: Found, here: int | None) -> dict[str, Any]:
    """Say how many hits there are, which one is shown, and which are beside it."""
    offsets = [line["o"] for line in hits.lines]
    number = bisect_right(offsets, here) if here is not None else 0
    before = bisect_left(offsets, here) if here is not None else 0
    return {
        "count": len(offsets),
        "is_whole": hits.is_whole,
        "number": number if number > before else None,
        "previous": offsets[before - 1] if before else None,
        "next": offsets[number] if number < len(offsets) else None,
    }


# --- what is shown ----------------------------------------------------------------------------------------------------


def excerpt(form: LogForm, block_run: BlockRun, attempt: int, here: int | None) -> dict[str, Any]:
    """A thousand lines: around the line asked for, from an offset on, or of one that goes on its end."""
    size = logs.size(block_run, attempt)
    begin = form.place("from")
    if here is not None:
        begin = logs.lines_before(block_run, attempt, min(here, size), BEFORE)
    elif begin is None:
        goes_on = attempt == block_run.attempt and not block_run.is_finished
        is_end = form.data.get("from") == "end" or (goes_on and "from" not in form.data)
        begin = logs.lines_before(block_run, attempt, size, LINES) if is_end else 0
    lines, end, at_end = take(block_run, attempt, logs.line_at(block_run, attempt, begin) if begin else 0)
    return {
        "lines": lines,
        "first": begin > 0,
        "previous": logs.lines_before(block_run, attempt, begin, LINES) if begin else None,
        "next": None if at_end else end,
        "tail": end if at_end and not block_run.is_finished and attempt == block_run.attempt else None,
    }


def take(block_run: BlockRun, attempt: int, offset: int) -> tuple[list[dict[str, Any]], int, bool]:
    """Return a page of lines, where the next begins, and whether the log ends here."""
    lines: list[dict[str, Any]] = []
    while len(lines) <= LINES:
        read = logs.read(block_run, attempt, offset=offset, limit=256 * 1024)
        lines += read.lines
        offset = read.next_offset
        if read.at_end:
            break
    if len(lines) > LINES:
        return lines[:LINES], lines[LINES]["o"], False
    return lines, offset, True


def filtered(form: LogForm, block_run: BlockRun, attempt: int) -> dict[str, Any]:
    """Lines that fit, from an offset on."""
    begin = form.place("from") or 0
    found = look(block_run, attempt, form.wanted, offset=begin, most=LINES)
    return {
        "lines": found.lines,
        "first": begin > 0,
        "previous": None,
        "next": None if found.is_whole else found.next_offset,
        "tail": None,
    }


# --- as files ---------------------------------------------------------------------------------------------------------


def as_text(line: dict[str, Any]) -> str:
    return f"{line['t']} {line['s']:<6} {line['l']:<8} {line['m']}\n"


def as_json(line: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in line.items() if key != "o"}, ensure_ascii=False) + "\n"


FORMS: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "log": ("text/plain", as_text),
    "jsonl": ("application/x-ndjson", as_json),
}


@require_GET
async def file(request: HttpRequest, *, kind: str, **ids: str) -> StreamingHttpResponse:
    """The whole log of an attempt: plain text, one line each (time, source, level, text), or lines of JSON."""
    run_id, block_run_id, attempt = (small(ids[name]) for name in ("run_id", "block_run_id", "attempt"))
    block_run = await sync_to_async(find)(run_id, block_run_id, attempt)
    content_type, form = FORMS[kind]
    response = StreamingHttpResponse(written(block_run, attempt, form), content_type=f"{content_type}; charset=utf-8")
    name = f"run-{run_id}-block-{block_run_id}-{attempt}.{kind}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def small(text: str) -> int:
    return int(text) if len(text) < 20 else 2**63


async def written(block_run: BlockRun, attempt: int, form: Callable[[dict[str, Any]], str]) -> AsyncIterator[bytes]:
    offset = 0
    while True:
        read = await sync_to_async(logs.read)(block_run, attempt, offset=offset, limit=256 * 1024)
        if read.lines:
            yield "".join(map(form, read.lines)).encode("utf-8", "replace")
        if read.at_end:
            return
        offset = read.next_offset
