"""The load: API calls with a key each, sent again until an answer comes; some answers are not listened to."""

import contextlib
import json
import random
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPException

from tests.faults.tree import Tree

# Pipeline → how often. What takes long is what a nemesis likes to hit.
MIXTURE = {
    "diamond": 10,
    "chain": 8,
    "nap": 8,
    "quick": 6,
    "flaky": 5,
    "senses": 4,
    "fails": 3,
    "flood": 2,
    "kills_itself": 1,
    "crashes": 1,
    "leaves": 1,
    "hog": 1,
    "deaf": 2,
    "forks": 2,
    "single_file": 4,
}
REPEATED, UNHEARD, CANCELLED = 0.15, 0.1, 0.05  # shares of the calls


@dataclass
class Accepted:
    """A call that was answered: its key, its run, when the answer came."""

    key: str
    pipeline: str
    run: int
    at: float


@dataclass
class Load:
    """`with` it, runs are triggered; `accepted` is what the product has promised to do."""

    tree: Tree
    seed: int
    per_second: float
    accepted: list[Accepted] = field(default_factory=list)
    cancelled: dict[int, float] = field(default_factory=dict)  # run → when its cancel was answered
    counts: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.over = threading.Event()
        self.lock = threading.Lock()
        # Several callers: one that waits for an answer must not silence the others.
        self.threads = [threading.Thread(target=self.call_on, args=(number,)) for number in range(3)]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()

    def call_on(self, number: int) -> None:
        dice, count = random.Random(f"{self.seed}-{number}"), 0
        while not self.over.wait(dice.expovariate(self.per_second / len(self.threads))):
            count += 1
            pipeline = dice.choices(list(MIXTURE), list(MIXTURE.values()))[0]
            self.trigger(f"{self.seed}-{number}-{count}", pipeline, dice)

    def trigger(self, key: str, pipeline: str, dice: random.Random) -> None:
        path, body = f"pipelines/{pipeline}/pipeline_runs", {"variables": {}}
        if dice.random() < UNHEARD:
            self.send_deafly(path, body, key, dice)
        run = self.send(path, body, key, dice)
        if run is None:
            return
        with self.lock:
            self.accepted.append(Accepted(key, pipeline, run, time.time()))
        if dice.random() < REPEATED and (again := self.send(path, body, key, dice)) not in (run, None):
            self.complaints.append(f"key {key} gave run {run} and then run {again}")
        if dice.random() < CANCELLED:
            self.cancel(run)

    def send(self, path: str, body: object, key: str, dice: random.Random) -> int | None:
        """Send until it is accepted; return the run, or None when the load is over before that."""
        until = None
        while until is None or time.monotonic() < until:
            if self.over.is_set() and until is None:
                until = time.monotonic() + 30  # what was begun is brought to an end, so that it can be judged
            try:
                status, answer = self.tree.call("POST", path, body, dice.choice(self.tree.webs()), Idempotency_Key=key)
            except (OSError, ValueError, EOFError, HTTPException):
                self.counts["no answer"] += 1
                time.sleep(0.2)
                continue
            self.counts[str(status)] += 1
            if status < 300:
                return int(answer["id"])
            if status < 500:
                self.complaints.append(f"{path} was answered {status}: {str(answer)[:200]}")
                return None
            time.sleep(0.2)
        return None

    def send_deafly(self, path: str, body: object, key: str, dice: random.Random) -> None:
        """N16: the request arrives, its answer reaches nobody."""
        part, text = dice.choice(self.tree.webs()), json.dumps(body)
        head = (
            f"POST /api/v1/{path} HTTP/1.1\r\nHost: 127.0.0.1:{part.port}\r\n"
            f"Authorization: Bearer {self.tree.token}\r\n"
            f"Idempotency-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n{text}"
        )
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", part.port), 5) as connection:
            connection.sendall(head.encode())
            time.sleep(dice.random() * 0.05)

    def cancel(self, run: int) -> None:
        with contextlib.suppress(OSError, ValueError, HTTPException):
            status, _ = self.tree.call("POST", f"pipeline_runs/{run}/cancel", {"reason": "chaos"})
            if status == 202:
                self.cancelled[run] = time.monotonic()
