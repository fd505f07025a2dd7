"""What blocks write down about themselves, outside of the product: the only thing that tells what really ran."""

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

# Every block's file begins with this. The attempt is the one that fences: blocks are not told it, their runtime is.
PRELUDE = """import os, sys, time


def epoch():
    frame = sys._getframe()
    while frame is not None:
        job = frame.f_locals.get("job")
        if isinstance(job, dict) and "output_url" in job:
            return int(job["output_url"].rsplit("/", 1)[-1])
        frame = frame.f_back
    return 0


def note(event, known):
    words = [known["pipeline_run_id"], known["block_uuid"], known["retry"]["attempts"], epoch(), event]
    words += [f"{{time.monotonic():.6f}}", f"{{time.time():.6f}}", os.getpid()]
    file = os.open({path!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(file, (" ".join(map(str, words)) + "\\n").encode())
    os.fsync(file)
    os.close(file)
    return epoch()


"""


@dataclass(frozen=True)
class Line:
    """`attempt` counts the user's retries, `epoch` every time the block was given to somebody."""

    run: int
    block: str
    attempt: int
    epoch: int
    event: str  # "begin", "end"
    monotonic: float
    wall: float
    pid: int

    @property
    def key(self) -> tuple[int, str]:
        return self.run, self.block


@dataclass
class Execution:
    """One time a block's body was entered; `end` is None when it was never left."""

    begin: Line
    end: Line | None = None


@dataclass
class Story:
    """Everything that the witness saw, by (run, block) in the order in which it began."""

    executions: dict[tuple[int, str], list[Execution]] = field(default_factory=lambda: defaultdict(list))

    @property
    def all(self) -> Iterator[Execution]:
        return (each for executions in self.executions.values() for each in executions)


class Witness:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def prelude(self) -> str:
        return PRELUDE.format(path=str(self.path))

    def lines(self) -> list[Line]:
        return [read(text) for text in self.path.read_text().splitlines()]

    def open_pids(self) -> dict[int, Line]:
        """Return the begin line of each block that has not ended, by its process."""
        found: dict[int, Line] = {}
        for line in self.lines():
            if line.event == "begin":
                found[line.pid] = line
            elif line.event == "end":
                found.pop(line.pid, None)
        return {pid: line for pid, line in found.items() if Path(f"/proc/{pid}").exists()}

    def story(self) -> Story:
        return story_of(self.lines())

    def wait_for(self, run: int, event: str, times: int = 1, seconds: float = 60.0) -> Line:
        """Wait until the run's blocks have said so that often; return the last of these lines."""
        until = time.monotonic() + seconds
        while True:
            found = [line for line in self.lines() if line.run == run and line.event == event]
            if len(found) >= times:
                return found[times - 1]
            assert time.monotonic() < until, f"run {run} said {event!r} {len(found)} of {times} times"
            time.sleep(0.02)


def read(text: str) -> Line:
    run, block, attempt, epoch, event, monotonic, wall, pid = text.split()
    return Line(int(run), block, int(attempt), int(epoch), event, float(monotonic), float(wall), int(pid))


def story_of(lines: Iterable[Line]) -> Story:
    story, by_process = Story(), dict[tuple[int, tuple[int, str]], Execution]()
    for line in lines:
        if line.event == "begin":
            execution = Execution(line)
            story.executions[line.key].append(execution)
            by_process[line.pid, line.key] = execution
        elif line.event == "end" and (execution_of := by_process.get((line.pid, line.key))):
            execution_of.end = line
    return story


def touch(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666))
