"""A streaming pipeline in its process: what goes where, how it is stopped, what it tells of itself."""

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipelines.stream_project import DOUBLE, ENDLESS, SINK, SOURCE, StreamProcess, StreamProject

pytestmark = pytest.mark.processes


@pytest.fixture
def project(tmp_path: Path) -> StreamProject:
    return StreamProject(tmp_path / "shop")


@pytest.fixture
def started(project: StreamProject) -> Iterator[Any]:
    made = []

    def start(**blocks: Any) -> StreamProcess:
        made.append(StreamProcess(project, project.stream_job(**blocks)))
        return made[-1]

    yield start
    for each in made:
        each.process.kill()
        each.process.wait()


def sink(name: str = "sink.txt") -> str:
    return SINK.format(name=name)


def chain(source: str = SOURCE, **changes: Any) -> dict[str, Any]:
    blocks = {
        "numbers": ("data_loader", [], source),
        "double": ("transformer", ["numbers"], DOUBLE),
        "lines": ("data_exporter", ["double"], sink()),
    }
    return {"blocks": blocks, **changes}


# --- messages ---------------------------------------------------------------------------------------------------------


def test_messages_go_from_the_source_through_transformers_to_the_sink(project: StreamProject, started: Any) -> None:
    result = started(**chain()).end()

    assert project.lines("sink.txt") == ["2", "4", "6", "8", "10", "12", "destroyed"]
    assert (result["verdict"], result["failure"], result["stopped"]) == ("completed", None, False)
    figures = result["stream"]
    assert (figures["messages"], figures["batches"], figures["bytes"]) == (6, 3, 6)
    assert figures["blocks"] == {"numbers": 0, "double": 6, "lines": 6}


def test_each_of_several_blocks_gets_messages_of_its_own(project: StreamProject, started: Any) -> None:
    spoiler = "@transformer\ndef spoil(messages, *_, **__):\n    messages.append(0)\n    return messages"
    blocks = {
        "numbers": ("data_loader", [], SOURCE),
        "spoil": ("transformer", ["numbers"], spoiler),
        "spoiled": ("data_exporter", ["spoil"], sink("spoiled.txt")),
        "plain": ("data_exporter", ["numbers"], sink("plain.txt")),
    }

    started(blocks=blocks).end()

    assert project.lines("spoiled.txt")[:3] == ["1", "2", "0"]
    assert project.lines("plain.txt") == ["1", "2", "3", "4", "5", "6", "destroyed"]


def test_what_a_transformer_holds_back_goes_no_further(project: StreamProject, started: Any) -> None:
    code = "@transformer\ndef double(messages, **_):\n    return messages if len(messages) > 1 else None"
    blocks = chain()["blocks"] | {"double": ("transformer", ["numbers"], code)}

    started(blocks=blocks).end()

    assert project.lines("sink.txt") == ["1", "2", "4", "5", "6", "destroyed"]


def test_async_functions_are_awaited(project: StreamProject, started: Any) -> None:
    code = "@transformer\nasync def double(messages, **_):\n    return [3 * each for each in messages]"
    blocks = chain()["blocks"] | {"double": ("transformer", ["numbers"], code)}

    started(blocks=blocks).end()

    assert project.lines("sink.txt")[:2] == ["3", "6"]


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("READ", "def read(self, handler):\n        for number in (1, 2):\n            handler(number)"),
        (
            "READ_ASYNC",
            "async def read_async(self, handler):\n        for number in (1, 2):\n            await handler(number)",
        ),
    ],
)
def test_a_source_may_hand_over_one_message_at_a_time(
    project: StreamProject, started: Any, method: str, body: str
) -> None:
    source = textwrap.dedent(
        f"""
        from mage_ai.streaming.sources.base import SourceConsumeMethod
        from mage_ai.streaming.sources.base_python import BasePythonSource

        @streaming_source
        class Numbers(BasePythonSource):
            consume_method = SourceConsumeMethod.{method}

            {{body}}
        """
    ).replace("{body}", body)

    started(**chain(source)).end()

    assert project.lines("sink.txt") == ["2", "4", "destroyed"]


def test_blocks_get_configuration_and_variables(project: StreamProject, started: Any) -> None:
    source = """
        @streaming_source
        class Plain:
            def __init__(self, config, **kwargs):
                self.sent = [config['first'], kwargs['global_vars']['second']]

            def batch_read(self, handler):
                handler(self.sent)
        """
    transformer = (
        "@transformer\ndef double(messages, *args, factor=1, **kwargs):\n    return [factor * x for x in messages]"
    )
    blocks = chain(source)["blocks"] | {"double": ("transformer", ["numbers"], transformer)}

    started(blocks=blocks, numbers={"configuration": {"first": 7}}, variables={"second": 8, "factor": 10}).end()

    assert project.lines("sink.txt") == ["70", "80", "destroyed"]


def test_a_class_without_a_constructor_is_connected_too(project: StreamProject, started: Any) -> None:
    source = """
        @streaming_source
        class Plain:
            def init_client(self):
                self.sent = [5]

            def batch_read(self, handler):
                handler(self.sent)
        """

    started(**chain(source)).end()

    assert project.lines("sink.txt") == ["10", "destroyed"]


# --- the end ----------------------------------------------------------------------------------------------------------


def test_a_sigterm_stops_between_two_batches_and_lets_go(project: StreamProject, started: Any) -> None:
    stream = started(**chain(ENDLESS))
    stream.until(lambda: len(project.lines("sink.txt")) > 3)

    result = stream.stop()

    *numbers, last = project.lines("sink.txt")
    assert (result["verdict"], result["stopped"], last) == ("completed", True, "destroyed")
    assert numbers == [str(2 * number) for number in range(1, len(numbers) + 1)]
    assert int((project.root / "committed").read_text()) == len(numbers) == result["stream"]["batches"]
    assert (project.root / "source_destroyed").read_text() == "once"  # a client that is closed twice may raise


def test_a_batch_that_is_on_its_way_is_let_through(project: StreamProject, started: Any) -> None:
    slow = """
        import time
        from pathlib import Path

        @transformer
        def double(messages, **_):
            Path('begun').touch()
            time.sleep(1.5)
            return messages
        """
    stream = started(blocks=chain(ENDLESS)["blocks"] | {"double": ("transformer", ["numbers"], slow)})
    stream.until((project.root / "begun").exists)

    result = stream.stop()

    assert project.lines("sink.txt") == ["1", "destroyed"]
    assert result["stopped"]


@pytest.mark.parametrize(
    "waits", ["time.sleep(60)", "threading.Event().wait()", "socket.create_server(('', 0)).accept()"]
)
def test_a_source_that_waits_is_interrupted(project: StreamProject, started: Any, waits: str) -> None:
    source = f"""
        import socket, threading, time
        from pathlib import Path

        @streaming_source
        class Waits:
            def batch_read(self, handler):
                handler([1])
                try:
                    {waits}
                except Exception:
                    handler([2])
        """
    stream = started(**chain(source))
    stream.until(lambda: project.lines("sink.txt"))

    assert stream.stop()["stopped"]
    assert project.lines("sink.txt") == ["2", "destroyed"]


def test_a_source_that_swallows_everything_gets_no_further_message_through(
    project: StreamProject, started: Any
) -> None:
    source = """
        import time

        @streaming_source
        class Stubborn:
            def batch_read(self, handler):
                for number in range(200):
                    try:
                        handler([number])
                        time.sleep(0.01)
                    except:
                        pass
        """
    stream = started(**chain(source))
    stream.until(lambda: project.lines("sink.txt"))

    result = stream.stop()

    assert result["stream"]["batches"] + 1 == len(project.lines("sink.txt")) < 200


def test_a_failure_is_told_and_everything_is_let_go(project: StreamProject, started: Any) -> None:
    code = "@transformer\ndef double(messages, **_):\n    raise ValueError(f'cannot double {messages}')"
    result = started(blocks=chain()["blocks"] | {"double": ("transformer", ["numbers"], code)}).end()

    failure = result["failure"]
    assert (result["verdict"], failure["type"], failure["message"]) == ("failed", "ValueError", "cannot double [1, 2]")
    assert "double.py" in failure["traceback"]
    assert project.lines("sink.txt") == ["destroyed"]


def test_a_sink_that_cannot_be_ended_keeps_no_other_from_it(project: StreamProject, started: Any) -> None:
    broken = """
        @streaming_sink
        class Broken:
            def batch_write(self, messages):
                pass

            def close(self):
                raise OSError('gone')
        """
    blocks = chain()["blocks"]
    result = started(
        blocks={"numbers": blocks["numbers"], "broken": ("data_exporter", ["numbers"], broken), **blocks}
    ).end()

    assert result["verdict"] == "completed"
    assert project.lines("sink.txt")[-1] == "destroyed"


# --- what it tells of itself ------------------------------------------------------------------------------------------


def test_a_stream_asks_for_a_place_of_its_own_and_tells_how_far_it_is(project: StreamProject, started: Any) -> None:
    stream = started(**chain(ENDLESS))
    stream.until(lambda: any(told.get("batches", 0) > 3 for told in stream.said("TOLD")))
    stream.stop()

    first, *beats = stream.said("TOLD")
    assert first == {"verb": "long_lived"}
    assert {beat["verb"] for beat in beats} == {"beat"}
    assert [beat["batches"] for beat in beats] == sorted(beat["batches"] for beat in beats)


def test_a_stream_with_nothing_to_read_beats_on_and_says_since_when(project: StreamProject, started: Any) -> None:
    source = "import time\n@streaming_source\nclass Idle:\n    def batch_read(self, handler):\n        time.sleep(60)"
    stream = started(**chain(source))
    stream.until(lambda: len(stream.said("TOLD")) > 4)
    stream.stop()

    beats = stream.said("TOLD")[1:]
    assert {(beat["handling"], beat["last_batch_at"], beat["messages"]) for beat in beats} == {(False, None, 0)}
    assert len({beat["since"] for beat in beats}) == 1


# --- what is no stream ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ({"a": ("data_exporter", [], sink())}, "has one source, a data loader; this one has 0"),
        (
            {"a": ("data_loader", [], SOURCE), "b": ("data_loader", [], SOURCE)},
            "has one source, a data loader; this one has 2 (a, b)",
        ),
        ({"a": ("data_loader", [], SOURCE), "b": ("transformer", [], DOUBLE)}, "b gets no messages"),
        (
            {
                "a": ("data_loader", [], SOURCE),
                "b": ("data_exporter", ["a"], sink()),
                "c": ("transformer", ["b"], DOUBLE),
            },
            "b is a sink: c cannot come after it",
        ),
        ({"a": ("data_loader", [], "@streaming_source\ndef f(): pass")}, "f is a function"),
        ({"a": ("data_loader", [], "x = 1")}, "block a has nothing marked @streaming_source"),
    ],
)
def test_what_is_no_stream_says_why(project: StreamProject, started: Any, blocks: Any, message: str) -> None:
    failure = started(blocks=blocks).end()["failure"]

    assert failure["type"] == "BlockError"
    assert message in failure["message"]


def test_a_connector_is_named_with_what_to_do(project: StreamProject, started: Any) -> None:
    result = started(**chain(numbers={"unsupported": "the connector kafka is not built in here"})).end()

    assert result["failure"]["message"] == "block numbers cannot run: the connector kafka is not built in here"
