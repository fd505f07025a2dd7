"""Sending a download piece by piece, whichever kind of server asks."""

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from runs.outputs.downloads import Download


def send(request: HttpRequest, file: Download) -> StreamingHttpResponse:
    """Return the answer that carries a file as an attachment."""
    is_async = isinstance(request, ASGIRequest)
    response = StreamingHttpResponse(
        beside_the_loop(file.pieces) if is_async else file.pieces, content_type=file.content_type
    )
    response["Content-Disposition"] = f'attachment; filename="{file.name}"'
    response["X-Content-Type-Options"] = "nosniff"
    return response


async def beside_the_loop(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Read in a thread, one piece at a time: a slow reader holds up nobody."""
    following = sync_to_async(lambda: next(pieces, None), thread_sensitive=False)
    while (piece := await following()) is not None:
        yield piece
