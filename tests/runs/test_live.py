"""What a process rings reaches the sockets that asked for it: runs, logs and incidents."""

import asyncio
import threading

import pytest

from runs import bell, live

EVERY = [live.EVERYTHING, live.run_group(17), live.run_group(18), live.log_group(17)]


class Note:
    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    def hear(self, kind: str, number: int) -> None:
        self.heard.append((kind, number))


def heard(*rings: str) -> dict[str, list[tuple[str, int]]]:
    """Return what listeners of each group hear, those that hear anything."""

    async def ring() -> dict[str, list[tuple[str, int]]]:
        hub, notes = live.Hub(), {group: Note() for group in EVERY}
        for group, note in notes.items():
            hub.join(group, note)
        hub.pass_on(list(rings))
        return {group: note.heard for group, note in notes.items() if note.heard}

    return asyncio.run(ring())


@pytest.mark.parametrize(
    ("ring", "groups"),
    [
        ("run 17", [live.EVERYTHING, live.run_group(17)]),
        ("incident 17", [live.EVERYTHING]),
        ("log 17 8123", [live.log_group(17)]),
    ],
)
def test_a_ring_is_heard_by_those_whom_it_is_about(ring: str, groups: list[str]) -> None:
    kind = ring.split()[0]
    assert heard(ring) == {group: [(kind, 17)] for group in groups}


def test_what_was_rung_several_times_meanwhile_is_heard_once() -> None:
    assert heard("run 17", "run 18", "run 17")[live.EVERYTHING] == [("run", 17), ("run", 18)]
    assert heard("log 17 100", "log 17 200") == {live.log_group(17): [("log", 17)]}


@pytest.mark.parametrize("nonsense", ["", "run", "run x", "\ufffd", "log 17.5", "run 17 18 19", "else 17"])
def test_a_ring_of_another_version_is_in_nobodys_way(nonsense: str) -> None:
    assert heard(nonsense, "run 18")[live.run_group(18)] == [("run", 18)]


def test_who_has_left_hears_nothing_and_leaves_nothing_behind() -> None:
    async def leave() -> None:
        hub, note = live.Hub(), Note()
        hub.join(live.EVERYTHING, note)
        hub.leave(live.EVERYTHING, note)
        hub.leave(live.EVERYTHING, note)
        hub.pass_on(["run 17"])
        assert (note.heard, hub.groups) == ([], {})

    asyncio.run(leave())


def test_a_ring_of_any_process_comes_to_a_listener_and_the_thread_ends_with_its_loop() -> None:
    async def listen() -> None:
        came = asyncio.Event()

        class Alarm:
            def hear(self, kind: str, number: int) -> None:
                if (kind, number) == ("run", 17):
                    came.set()

        hub = live.Hub()
        hub.join(live.EVERYTHING, Alarm())
        async with asyncio.timeout(20):
            while not came.is_set():  # until its thread listens
                await asyncio.to_thread(bell.ring, "live", "run 17")
                await asyncio.sleep(0.01)

    asyncio.run(listen())
    hub = next(thread for thread in threading.enumerate() if thread.name == "live-hub")
    while hub.is_alive():  # a second at most, or until it hears something
        bell.ring("live", "run 17")
        hub.join(0.05)


def test_what_is_rung_after_the_wait_for_the_ear_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first socket of a process is not open before the process listens."""
    opening, listen = threading.Event(), bell.listen

    def late(*topics: bell.Topic) -> object:
        assert opening.wait(10)
        return listen(*topics)

    monkeypatch.setattr(bell, "listen", late)

    async def first() -> None:
        hub, note = live.Hub(), Note()
        hub.join(live.EVERYTHING, note)
        await hub.wait_for_ear(0.01)
        assert not hub.has_ear.is_set(), "it may not listen yet, and nobody waits for ever"
        asyncio.get_running_loop().call_later(0.05, opening.set)
        await hub.wait_for_ear(10)
        bell.ring("live", "run 17")
        for _ in range(500):
            if note.heard:
                break
            await asyncio.sleep(0.01)
        assert note.heard == [("run", 17)]

    asyncio.run(first())
