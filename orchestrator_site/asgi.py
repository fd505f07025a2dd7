"""The ASGI application: pages and API over HTTP, live events over websockets."""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "orchestrator_site.settings")
django.setup(set_prefix=False)

from orchestrator_site import lanes, sockets  # noqa: E402

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
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
