"""Inside a block's own process: take a job, run its entrypoint, give the result back. No Django, no database.

What Python code prints or logs goes to the worker over the channel, in order and with its stream or level; what C
extensions and grandchildren write goes through the pipes that are descriptors 1 and 2.
"""

import contextlib
import ctypes
import faulthandler
import importlib
import io
import logging
import os
import random
import resource
import socket
import sys
import time
import traceback
from typing import Any

from executors.channel import ChannelClosed
from executors.mail import Mail

TEXT_AT_ONCE = 32 * 1024
LIBC = ctypes.CDLL(None)


def work(channel: socket.socket, runtime: str) -> None:
    """Run jobs until the worker says that one is the last, or goes away. Never returns.

    `runtime` is the module, already imported, whose `rehearse()` (if it has one) is called before the first job, and
    whose `ask_through(ask)` (if it has one) is given the way to ask the worker: executors.mail.Mail.ask.
    """
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("500")  # so that the kernel, short of memory, takes the block and not the worker
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    random.seed()
    os.register_at_fork(after_in_child=plain_output)
    mail = Mail(channel)
    rehearse(runtime)
    if ask_through := getattr(sys.modules.get(runtime), "ask_through", None):
        ask_through(mail.ask)
    try:
        while True:
            order, stdout, stderr = mail.next_job()
            run(mail, order, stdout, stderr)
            if order["last"]:
                break
    except (ChannelClosed, OSError):
        pass
    os._exit(0)


def rehearse(runtime: str) -> None:
    """Let the runtime go through its motions while this child waits: the memory it touches is then its own."""
    if motions := getattr(sys.modules.get(runtime), "rehearse", None):
        motions()


def run(mail: Mail, order: dict[str, Any], stdout: int, stderr: int) -> None:
    """Run one job with its own stdout, stderr and environment, and send its result."""
    mail.send(["begun"])
    replace_descriptors(stdout, stderr)
    os.environ.update(order["env"])
    limit_resources(order["limits"])
    talk_through(mail)
    before, began = cpu_seconds(), time.monotonic()
    result = call(order["entrypoint"], order["job"])
    flush()
    usage = {
        "cpu_seconds": round(cpu_seconds() - before, 6),
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "duration_seconds": round(time.monotonic() - began, 6),
    }
    mail.send(["result", result, usage])


def call(entrypoint: str, job: dict[str, Any]) -> dict[str, Any]:
    """Return what "module:function" says of the job; a fault of its own is a failure too."""
    module, _, name = entrypoint.partition(":")
    try:
        result: dict[str, Any] = getattr(importlib.import_module(module), name)(job)
        return result
    except BaseException as error:  # whatever came through is this job's failure
        text = traceback.format_exc()
        failure = {
            "type": type(error).__name__,
            "message": str(error) or type(error).__name__,
            "traceback": text,
            "full_traceback": text,
        }
        return {"verdict": "failed", "outputs": [], "failure": failure}


def replace_descriptors(stdout: int, stderr: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    for descriptor, number in ((null, 0), (stdout, 1), (stderr, 2)):
        os.dup2(descriptor, number)
        os.close(descriptor)
    faulthandler.enable(file=2)


def limit_resources(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        resource.setrlimit(kind, (value, value))


def cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


# --- output ---------------------------------------------------------------------------------------------------------


def talk_through(mail: Mail) -> None:
    """Make print and logging speak over the channel; a process forked from here speaks through descriptors 1, 2."""
    sys.stdout = Speech(mail, "stdout", 1)
    sys.stderr = Speech(mail, "stderr", 2)
    root = logging.getLogger()
    root.handlers = [Records(mail)]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)


def plain_output() -> None:
    sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False), line_buffering=True)  # noqa: SIM115
    sys.stderr = io.TextIOWrapper(open(2, "wb", closefd=False), line_buffering=True)  # noqa: SIM115
    logging.getLogger().handlers = [logging.StreamHandler()]


def flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # users' code may have put anything in their place
            stream.flush()
    LIBC.fflush(None)  # what C extensions printed; the process leaves without the usual clean-up


class Speech(io.TextIOWrapper):
    """A text stream whose whole lines go over the channel; `fileno()` is the real descriptor."""

    def __init__(self, mail: Mail, stream: str, descriptor: int) -> None:
        raw = SpeechBytes(mail, stream, descriptor)
        super().__init__(
            io.BufferedWriter(raw, TEXT_AT_ONCE), encoding="utf-8", errors="backslashreplace", line_buffering=True
        )


class SpeechBytes(io.RawIOBase):
    def __init__(self, mail: Mail, stream: str, descriptor: int) -> None:
        self.mail, self.stream, self.descriptor = mail, stream, descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.descriptor

    def write(self, data: Any) -> int:
        self.mail.send(["out", self.stream, bytes(data).decode("utf-8", "replace")])
        return len(data)


class Records(logging.Handler):
    """Log records, whole and with their level."""

    def __init__(self, mail: Mail) -> None:
        super().__init__()
        self.mail = mail
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # as in flush()
                stream.flush()
        try:
            self.mail.send(["record", record.levelname, self.format(record)])
        except Exception:  # users' arguments may fail in being formatted
            self.handleError(record)
