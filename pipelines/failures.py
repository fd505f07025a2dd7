"""A block's failure as data: type, message, the traceback of the user's own code, and the whole one."""

import os
import traceback
from collections.abc import Iterator
from typing import Any

from pipelines import exception_names
from pipelines.previews import clean

Failure = dict[str, Any]

MAX_MESSAGE = 4_000
MAX_TRACEBACK = 64_000

_OURS = os.path.dirname(os.path.abspath(__file__)) + os.sep


class BlockError(Exception):
    """A block is written in a way that cannot run; the message says what to change."""


def from_exception(error: BaseException, project: str) -> Failure:
    """Describe an exception; never raises, whatever the exception's own `__str__` does."""
    try:
        return {
            "type": type(error).__name__,
            "message": _shortened(_message(error), MAX_MESSAGE),
            "traceback": _shortened(_trimmed(error, project), MAX_TRACEBACK),
            "full_traceback": _shortened("".join(_described(error).format()), MAX_TRACEBACK),
            "bases": exception_names.names_of(error),
        }
    except Exception as fault:  # users' exceptions may fail in being described
        note = f"its traceback cannot be shown ({type(fault).__name__})"
        return {
            "type": type(error).__name__,
            "message": note,
            "traceback": "",
            "full_traceback": "",
            "bases": [type(error).__name__],
        }


def last_line(error: BaseException) -> str:
    """The line of code that raised, or ""."""
    frames = traceback.extract_tb(error.__traceback__)
    return frames[-1].line or "" if frames else ""


def _message(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"the block called sys.exit({error.code!r}); return from its function instead"
    if isinstance(error, KeyboardInterrupt):
        return "the block was interrupted"
    if isinstance(error, MemoryError) and not error.args:
        return "the block ran out of memory"
    try:
        return str(error)
    except Exception as fault:  # the user's own __str__
        return f"its message cannot be shown: str() of it raised {type(fault).__name__}"


def _described(error: BaseException) -> traceback.TracebackException:
    return traceback.TracebackException(type(error), error, error.__traceback__, compact=True)


def _trimmed(error: BaseException, project: str) -> str:
    """The traceback with the user's frames, and the innermost one wherever it is; "" when none is left."""
    described = _described(error)
    inside = os.path.join(project, "")
    shown = 0
    for part in _chain(described):
        last = part.stack[-1:]
        frames = [frame for frame in part.stack if _is_users(frame, inside)]
        if last and last[0] not in frames and not last[0].filename.startswith((_OURS, "<frozen ")):
            frames.append(last[0])
        part.stack = traceback.StackSummary.from_list(frames)
        shown += len(frames)
    if shown or isinstance(error, SyntaxError):
        return "".join(described.format())
    return ""


def _is_users(frame: traceback.FrameSummary, inside: str) -> bool:
    return frame.filename.startswith(inside) and "site-packages" not in frame.filename


def _chain(described: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """An exception with its causes, contexts and, for a group, its members."""
    waiting, seen = [described], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        members = getattr(part, "exceptions", None) or ()
        waiting.extend(other for other in (part.__cause__, part.__context__, *members) if other is not None)


def _shortened(text: str, limit: int) -> str:
    if len(text) > limit:
        text = f"{text[: limit // 2]}\n… {len(text) - limit} characters left out …\n{text[-limit // 2 :]}"
    return clean(text)
