"""What a process rings reaches open pages: runs, logs and incidents."""

import asyncio
from typing import Any

from channels.layers import get_channel_layer

from runs import live
from runs.consumers import EventsConsumer


def heard(group: str, *rings: str) -> dict[str, Any]:
    """Return the first message that a member of the group gets."""

    async def listen() -> dict[str, Any]:
        layer = get_channel_layer()
        assert layer is not None
        name = await layer.new_channel()
        await layer.group_add(group, name)
        await live.Hub().pass_on(list(rings))
        message: dict[str, Any] = await asyncio.wait_for(layer.receive(name), 5)
        return message

    return asyncio.run(listen())


def test_a_changed_incident_is_told_to_whoever_hears_everything() -> None:
    assert heard(live.EVERYTHING, "incident 7") == {"type": "incident.changed", "incident": 7}


def test_a_changed_run_is_told_to_its_page() -> None:
    assert heard(live.run_group(17), "run 17") == {"type": "run.changed", "run": 17}


def test_a_page_is_told_that_something_changed() -> None:
    sent: list[Any] = []
    consumer = EventsConsumer()

    async def note(content: Any, close: bool = False) -> None:
        sent.append(content)

    consumer.send_json = note
    asyncio.run(consumer.incident_changed({"incident": 7}))
    assert sent == [{"type": "changed", "incident": 7}]
