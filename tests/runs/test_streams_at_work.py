"""Streams with real workers: they hold none, outlive what is killed, stop between two batches, and log for ever."""

import os
import signal
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.runs.crowd import Crowd, Tree, gather, wait_until

pytestmark = pytest.mark.processes
SOURCE = """
import time
from pathlib import Path
from mage_ai.streaming.sources.base_python import BasePythonSource

@streaming_source
class Spool(BasePythonSource):
    # Lines of a file, from the last that was committed on.

    def init_client(self):
        self.folder = Path(self.global_vars['folder'])
        self.committed = self.folder / 'committed'
        self.seen = int(self.committed.read_text()) if self.committed.exists() else 0

    def batch_read(self, handler):
        while True:
            lines = (self.folder / 'spool').read_text().splitlines()[self.seen:][:10]
            if lines:
                handler(lines)
                self.seen += len(lines)
                self.committed.write_text(str(self.seen))
            time.sleep(0.05)
"""
TRANSFORMER = """
import time

@transformer
def shout(lines, **_):
    for line in lines:
        if line == 'hang':
            time.sleep(600)
        if line.startswith('say'):
            for number in range(int(line.split()[1])):
                print('line', number)
    return [line.upper() for line in lines]
"""
SINK = """
from pathlib import Path

@streaming_sink
class Lines:
    def __init__(self, global_vars):
        self.file = open(Path(global_vars['folder']) / 'sunk', 'a')

    def batch_write(self, messages):
        self.file.write(''.join(f'{message}\\n' for message in messages))
        self.file.flush()

    def close(self):
        self.file.write('closed\\n')
        self.file.close()
"""
METADATA = """
type: streaming
blocks:
- {uuid: spool, type: data_loader}
- {uuid: shout, type: transformer, upstream_blocks: [spool], heartbeat_timeout: 3}
- {uuid: lines, type: data_exporter, upstream_blocks: [shout]}
"""
KAFKA = "type: streaming\nblocks: [{uuid: topic, type: data_loader, language: yaml}]\n"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def crowd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    with gather(request.param, tmp_path_factory.mktemp("streams")) as made:
        project = Path(made.env["ORCHESTRATOR_PROJECT"])
        files = {
            "data_loaders/spool.py": SOURCE,
            "transformers/shout.py": TRANSFORMER,
            "data_exporters/lines.py": SINK,
            "pipelines/feed/metadata.yaml": METADATA,
            "data_loaders/topic.yaml": "connector_type: kafka\n",
            "pipelines/from_kafka/metadata.yaml": KAFKA,
        }
        for name, text in files.items():
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text(textwrap.dedent(text))
        yield made


@pytest.fixture
def plant(crowd: Crowd) -> Iterator[Callable[..., Tree]]:
    """Start trees, and leave nothing of them, nor of the runs that they did."""
    trees: list[Tree] = []

    def start(**environment: str) -> Tree:
        trees.append(Tree(crowd, **{"workers": 2, **environment}))
        return trees[-1]

    yield start
    crowd.ask("[lifecycle.cancel(r, moment=timezone.now(), reason='') for r in PipelineRun.objects.unfinished()] and 0")
    for tree in trees:
        tree.close()


class Feed:
    """A stream that reads what is put into its spool."""

    def __init__(self, crowd: Crowd, folder: Path) -> None:
        self.crowd, self.folder = crowd, folder
        folder.mkdir()
        (folder / "spool").touch()
        self.run = int(crowd.ask(f"start_from_disk('feed', folder={str(folder)!r})"))

    def put(self, *lines: str) -> None:
        with open(self.folder / "spool", "a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    @property
    def sunk(self) -> list[str]:
        path = self.folder / "sunk"
        return path.read_text().splitlines() if path.exists() else []

    def until_sunk(self, line: str) -> None:
        wait_until(lambda: line in self.sunk, 60)

    @property
    def row(self) -> dict[str, Any]:
        fields = "'status', 'attempt', 'retries', 'losses', 'worker__kind', 'worker__pid', 'metrics', 'error'"
        found: dict[str, Any] = self.crowd.ask(
            f"BlockRun.objects.filter(pipeline_run={self.run}).values({fields}, 'heartbeat_at', 'pk').get()"
        )
        return found

    @property
    def process(self) -> int:
        """The one that has its sink open."""
        path = str(self.folder / "sunk")
        for process in psutil.process_iter():
            try:
                if any(file.path == path for file in process.open_files()):
                    return process.pid
            except psutil.Error:
                continue
        raise AssertionError("the stream has no process")


@pytest.fixture
def feed(crowd: Crowd, tmp_path: Path) -> Callable[..., Feed]:
    def start(name: str = "feed") -> Feed:
        return Feed(crowd, tmp_path / name)

    return start


def test_two_workers_carry_three_streams_and_are_free_for_other_blocks(
    crowd: Crowd, plant: Callable[..., Tree], feed: Callable[..., Feed]
) -> None:
    plant(workers=2)
    feeds = [feed(name) for name in ("one", "two", "three")]
    for number, each in enumerate(feeds):
        each.put(f"hello {number}")
        each.until_sunk(f"HELLO {number}")
    assert {each.row["worker__kind"] for each in feeds} == {"parked"}

    batch = [int(crowd.ask("start_from_disk('chain')")) for _ in range(3)]

    done = f"PipelineRun.objects.filter(pk__in={batch!r}, status='completed').count()"
    wait_until(lambda: crowd.ask(done) == 3, 60)
    assert {each.row["status"] for each in feeds} == {"running"}


def test_a_stream_that_is_killed_is_started_again_and_loses_no_message(
    plant: Callable[..., Tree], feed: Callable[..., Feed]
) -> None:
    plant()
    stream = feed()
    stream.put("first")
    stream.until_sunk("FIRST")

    os.kill(stream.process, signal.SIGKILL)
    stream.put("second")

    stream.until_sunk("SECOND")
    row = stream.row
    assert (row["attempt"], row["retries"], row["losses"]) == (2, 1, 0)
    attempts = f"BlockRun.objects.get(pk={row['pk']}).attempts"
    assert stream.crowd.ask(f"{attempts}.get().error")["type"] == "ProcessKilled"


def test_a_cancelled_stream_stops_between_two_batches(
    crowd: Crowd, plant: Callable[..., Tree], feed: Callable[..., Feed]
) -> None:
    plant()
    stream = feed()
    stream.put("first")
    stream.until_sunk("FIRST")

    crowd.ask(f"lifecycle.cancel(PipelineRun.objects.get(pk={stream.run}), moment=timezone.now(), reason='enough')")
    stream.until_sunk("closed")
    stream.put("too late")

    assert stream.sunk == ["FIRST", "closed"]
    assert stream.row["status"] == "cancelled"


def test_a_stream_of_a_worker_that_stops_goes_on_with_another(
    plant: Callable[..., Tree], feed: Callable[..., Feed]
) -> None:
    tree = plant()
    stream = feed()
    stream.put("first")
    stream.until_sunk("FIRST")

    tree.process.send_signal(signal.SIGTERM)
    tree.process.wait(60)
    assert stream.sunk == ["FIRST", "closed"]
    assert (stream.row["status"], stream.row["attempt"]) == ("queued", 2)
    stream.put("second")
    plant()

    stream.until_sunk("SECOND")
    assert (stream.row["retries"], stream.row["losses"], stream.row["attempt"]) == (0, 0, 2)


def test_a_stream_whose_worker_is_killed_is_taken_up_again(
    plant: Callable[..., Tree], feed: Callable[..., Feed]
) -> None:
    plant()
    stream = feed()
    stream.put("first")
    stream.until_sunk("FIRST")

    os.kill(stream.row["worker__pid"], signal.SIGKILL)
    wait_until(lambda: stream.row["losses"] == 1, 60)
    stream.put("second")

    stream.until_sunk("SECOND")
    assert stream.row["retries"] == 0


def test_a_batch_that_hangs_costs_the_attempt(plant: Callable[..., Tree], feed: Callable[..., Feed]) -> None:
    plant()
    stream = feed()
    stream.put("hang")

    wait_until(lambda: stream.row["error"], 60)

    assert stream.row["error"]["type"] == "HeartbeatTimeout"
    assert stream.row["attempt"] > 1


def test_heartbeats_are_written_down(plant: Callable[..., Tree], feed: Callable[..., Feed]) -> None:
    plant()
    stream = feed()
    stream.put("one", "two", "three")

    wait_until(lambda: stream.row["metrics"].get("messages") == 3, 60)

    metrics = stream.row["metrics"]
    assert metrics["blocks"] == {"spool": 0, "shout": 3, "lines": 3}
    assert metrics["handling"] is False
    assert stream.row["heartbeat_at"]


def test_a_log_that_turns_over_is_read_to_its_newest_line_and_stays_small(
    crowd: Crowd, plant: Callable[..., Tree], feed: Callable[..., Feed]
) -> None:
    plant(LOG_CAP_MB="0.05")
    stream = feed()
    stream.put("say 5000", "done")
    stream.until_sunk("DONE")

    row = f"BlockRun.objects.get(pk={stream.row['pk']})"
    read = f"[line['m'] for line in logs.read({row}, 1, offset=%s).lines]"
    wait_until(lambda: "line 4999" in crowd.ask(read % f"logs.size({row}, 1) - 500"), 30)
    assert "left out here" in crowd.ask(read % "20000")[0]
    folder = Path(crowd.ask(f"str(logs.path({stream.run}, 1, 1).parent)"))
    assert sum(path.stat().st_size for path in folder.rglob("*.jsonl")) <= 0.05 * 1024**2


def test_a_connector_that_is_not_built_in_fails_at_once_and_says_what_to_do(
    crowd: Crowd, plant: Callable[..., Tree]
) -> None:
    plant()
    run = int(crowd.ask("start_from_disk('from_kafka')"))

    wait_until(lambda: crowd.ask(f"PipelineRun.objects.get(pk={run}).status") == "failed", 60)

    error = crowd.ask(f"BlockRun.objects.get(pipeline_run={run}).error")
    assert "the connector kafka is not built in here" in error["message"]
    assert "confluent-kafka" in error["message"]
