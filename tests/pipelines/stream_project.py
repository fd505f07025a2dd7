"""A streaming pipeline on disk, run in a process of its own that can be sent signals."""

import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.pipelines.block_project import FOLDERS, BlockProject

CHILD = """
import json, os, sys
from pipelines import streaming
streaming.BEAT_SECONDS = 0.05
job = json.load(open(sys.argv[1]))
def say(word, what):
    os.write(2, f"{word} {json.dumps(what)}\\n".encode())  # a line at once, whatever other threads say
def tell(verb, **details):
    say("TOLD", {"verb": verb, **details})
say("RESULT", streaming.run(job, tell))
"""
SOURCE = """
    from mage_ai.streaming.sources.base_python import BasePythonSource

    @streaming_source
    class Numbers(BasePythonSource):
        def init_client(self):
            self.batches = [[1, 2], [3], [4, 5, 6]]

        def batch_read(self, handler):
            for batch in self.batches:
                handler(batch)
    """
ENDLESS = """
    import time
    from pathlib import Path
    from mage_ai.streaming.sources.base_python import BasePythonSource

    @streaming_source
    class Endless(BasePythonSource):
        def batch_read(self, handler):
            number = 0
            while True:
                number += 1
                handler([number])
                Path('committed').write_text(str(number))
                time.sleep(0.02)

        def destroy(self):
            with open('source_destroyed', 'a') as file:
                file.write('once')
    """
SINK = """
    from pathlib import Path
    from mage_ai.streaming.sinks.base_python import BasePythonSink

    @streaming_sink
    class Lines(BasePythonSink):
        def init_client(self):
            self.file = open(Path({name!r}), 'a')

        def batch_write(self, messages):
            for message in messages:
                self.file.write(f'{{message}}\\n')
            self.file.flush()

        def destroy(self):
            self.file.write('destroyed\\n')
            self.file.close()
    """
DOUBLE = "@transformer\ndef double(messages, *args, **kwargs):\n    return [2 * each for each in messages]"


class StreamProject(BlockProject):
    """`blocks`: uuid → (type, upstream, code)."""

    def stream_job(self, blocks: Mapping[str, tuple[str, list[str], str]], **changes: Any) -> dict[str, Any]:
        entries = []
        for uuid, (kind, upstream, code) in blocks.items():
            entry = {**self.job(uuid=uuid, kind=kind)["block"], "upstream": upstream}
            code = textwrap.dedent(code).lstrip("\n")
            self.write(f"{FOLDERS[kind]}/{uuid}.py", code)
            entries.append({**entry, "code": code, **changes.pop(uuid, {})})
        return {**self.job(uuid=entries[0]["uuid"]), "stream": entries, **changes}

    def lines(self, name: str) -> list[str]:
        path = self.root / name
        return path.read_text().splitlines() if path.exists() else []


class StreamProcess:
    """A stream that goes on in its process."""

    def __init__(self, project: StreamProject, job: dict[str, Any]) -> None:
        path = project.root / "job.json"
        path.write_text(json.dumps(job))
        self.errors = project.root / "stderr.txt"
        with open(self.errors, "w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", CHILD, str(path)], cwd=Path(__file__).parents[2], stderr=errors
            )

    def said(self, word: str) -> list[dict[str, Any]]:
        lines = self.errors.read_text().splitlines()
        return [json.loads(line.removeprefix(word)) for line in lines if line.startswith(f"{word} ")]

    def until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert self.process.poll() is None, self.errors.read_text()
            assert time.monotonic() < deadline, "the stream does not come that far"
            time.sleep(0.01)

    def stop(self) -> dict[str, Any]:
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self) -> dict[str, Any]:
        try:
            self.process.wait(30)
        finally:
            self.process.kill()
        return self.said("RESULT")[0]
