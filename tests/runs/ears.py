"""Who rings and who hears, in processes of their own, for tests of the bell."""

import os
import subprocess
import sys
import time
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings

from runs import bell
from runs.bell import RedisCarrier

REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
RINGER = """
import django; django.setup()
import sys
from runs import bell
for line in sys.stdin:
    topic, _, text = line.strip().partition(" ")
    bell.ring(topic, text)
    print("rung", flush=True)
"""
LISTENER = """
import django; django.setup()
from runs import bell
with bell.listen("queue") as ear:
    print("listening", flush=True)
    ear.wait(60)
"""
SHORT, LONG = 0.05, 20.0  # seconds in which silence shows; in which a ring must have come


def redis_problem() -> str:
    try:
        redis.Redis.from_url(REDIS, socket_connect_timeout=1).ping()
    except redis.RedisError as error:
        return f"no Redis answers: {error}"
    return ""


class Apart:
    """Python processes of ours that see what this one sees."""

    def __init__(self, **environment: str) -> None:
        self.env = {**os.environ, "DJANGO_SETTINGS_MODULE": "orchestrator_site.settings", **environment}
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, code: str) -> "subprocess.Popen[str]":
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=django_settings.BASE_DIR, env=self.env, text=True, **pipes
        )
        self.processes.append(process)
        return process

    def ring(self, *lines: str) -> None:
        """Ring from another process, the same one each time."""
        ringer = self.processes[0] if self.processes else self.start(RINGER)
        ringer.stdin.write("".join(f"{line}\n" for line in lines))
        ringer.stdin.flush()
        for _ in lines:
            assert ringer.stdout.readline() == "rung\n"

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()


def hear(ear: bell.Ear, count: int = 1) -> list[str]:
    """Wait until so many texts came."""
    texts: list[str] = []
    until = time.monotonic() + LONG
    while len(texts) < count:
        assert time.monotonic() < until, f"heard only {texts}"
        texts += ear.wait(until - time.monotonic())
    return texts


def prefix_of(database: dict[str, Any]) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bell.settings, "DATABASES", {"default": database})
        return RedisCarrier(REDIS).prefix
