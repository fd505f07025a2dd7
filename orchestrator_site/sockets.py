"""Who may open a websocket: a signed-in browser from our own origin, or a program with an API token."""

from typing import Any
from urllib.parse import urlsplit

from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from channels.routing import URLRouter
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.http.request import split_domain_port, validate_host
from django.utils import timezone

from orchestrator_site import tokens
from runs.routing import websocket_urlpatterns


def websocket_application() -> Any:
    routes = URLRouter(websocket_urlpatterns)
    return Gate(programs=routes, browsers=AuthMiddlewareStack(routes))


class Gate:
    """Sends programs (with an Authorization header) and browsers (with a cookie) their ways; refuses other origins."""

    def __init__(self, programs: Any, browsers: Any) -> None:
        self.programs, self.browsers = programs, browsers

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        if not known_path(scope["path"]):
            await deny(receive, send)
        elif b"authorization" in headers:
            user = await user_of_token(headers[b"authorization"].decode("latin-1"))
            await self.programs({**scope, "user": user}, receive, send)
        elif is_own_origin(headers, scope.get("scheme", "ws")):
            await self.browsers(scope, receive, send)
        else:
            await deny(receive, send)


def known_path(path: str) -> bool:
    return any(route.pattern.match(path.lstrip("/")) for route in websocket_urlpatterns)


def is_own_origin(headers: dict[bytes, bytes], scheme: str) -> bool:
    """The Origin must be exactly ours: PUBLIC_URL, or the host (and port) that was asked, by the same scheme."""
    origin = headers.get(b"origin", b"").decode("latin-1")
    host = headers.get(b"host", b"").decode("latin-1")
    if settings.PUBLIC_URL and origin == settings.PUBLIC_URL:
        return True
    domain, _ = split_domain_port(host)
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return False
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.netloc == host and parts.scheme == {"ws": "http", "wss": "https"}.get(scheme)


@database_sync_to_async
def user_of_token(header: str) -> AbstractBaseUser | AnonymousUser:
    return tokens.user_for_header(header, timezone.now()) or AnonymousUser()


async def deny(receive: Any, send: Any) -> None:
    """Refuse the handshake (HTTP 403)."""
    await receive()
    await send({"type": "websocket.close", "code": 4403})
