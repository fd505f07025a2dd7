"""Entrypoints for the executor's tests: they run in children of a real fork server."""

import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import time
from typing import Any

DONE = {"verdict": "completed", "outputs": [], "failure": None}


def talks(job: dict[str, Any]) -> dict[str, Any]:
    print("first")
    logging.getLogger("block").warning("second")
    subprocess.run(["echo", "third"], check=True)
    print("fourth", file=sys.stderr)
    ctypes.CDLL(None).printf(b"fifth\n")
    return DONE


def trivial(job: dict[str, Any]) -> dict[str, Any]:
    return {**DONE, "outputs": [job.get("value"), os.getpid()]}


def environment(job: dict[str, Any]) -> dict[str, Any]:
    return {**DONE, "outputs": [dict(os.environ), sorted(os.listdir("/proc/self/fd")), sorted(sys.modules)]}


def exits(job: dict[str, Any]) -> dict[str, Any]:
    os._exit(3)


def crashes(job: dict[str, Any]) -> dict[str, Any]:
    ctypes.string_at(0)
    return DONE


def is_killed(job: dict[str, Any]) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return DONE


def raises(job: dict[str, Any]) -> dict[str, Any]:
    raise KeyError("missing")


def takes_memory(job: dict[str, Any]) -> dict[str, Any]:
    return {**DONE, "outputs": [len(bytearray(2_000_000_000))]}


def sleeps(job: dict[str, Any]) -> dict[str, Any]:
    print("asleep", flush=True)
    time.sleep(60)
    return DONE


def resists(job: dict[str, Any]) -> dict[str, Any]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note_pid(job, subprocess.Popen(["setsid", "sleep", "1000"]).pid)
    print("deaf", flush=True)
    time.sleep(60)
    return DONE


def leaves_daemon(job: dict[str, Any]) -> dict[str, Any]:
    note_pid(job, subprocess.Popen(["setsid", "sleep", "1000"]).pid)
    return DONE


def note_pid(job: dict[str, Any], pid: int) -> None:
    with open(job["pid_file"], "w") as file:
        file.write(str(pid))


def floods(job: dict[str, Any]) -> dict[str, Any]:
    line = b"x" * 99 + b"\n"
    for _ in range(job["lines"]):
        os.write(1, line)
    return DONE


def prints_junk(job: dict[str, Any]) -> dict[str, Any]:
    os.write(1, bytes(range(256)) + b"\n")
    print("\udc80 lone surrogate")
    return DONE


def closes_stdout(job: dict[str, Any]) -> dict[str, Any]:
    os.close(1)
    os.close(2)
    return DONE


def grandchild(number: int) -> None:
    print(f"grandchild {number}")


def forks(job: dict[str, Any]) -> dict[str, Any]:
    process = multiprocessing.get_context("fork").Process(target=grandchild, args=(7,))
    process.start()
    process.join()
    return DONE


def speaks_nonsense(job: dict[str, Any]) -> dict[str, Any]:
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the descriptor by which we look
            if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                message = job["message"].encode()
                os.write(int(name), len(message).to_bytes(4, "big") + message)
    time.sleep(60)
    return DONE


def prints_twice(job: dict[str, Any]) -> dict[str, Any]:
    print("one", flush=True)
    print("two", flush=True)
    return DONE
