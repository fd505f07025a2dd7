"""The ASGI application: pages and API over HTTP, live events over websockets."""

import asyncio
import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator_site.settings")
django.setup(set_prefix=False)

from orchestrator_site import idle_memory, lanes, sockets  # noqa: E402

http = lanes.PooledHandler()
websocket = sockets.websocket_application()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Route by protocol; answer the server's lifespan messages."""
    if scope["type"] == "http":
        await http(scope, receive, send)
    elif scope["type"] == "websocket":
        await websocket(scope, receive, send)
    elif scope["type"] == "lifespan":
        await lifespan(receive, send)


async def lifespan(receive: Any, send: Any) -> None:
    looks: asyncio.Task[None] | None = None
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            idle_memory.put_aside()
            looks = asyncio.create_task(idle_memory.look_when_idle(http.is_idle))
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            if looks:
                looks.cancel()
            return
