"""Static files, answered whole and zipped. WhiteNoise streams them, which Django cannot do well under ASGI."""

import gzip
import re
from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware

VERSIONED = re.compile(r"/vendor/[^/]+/\d[^/]*/")  # another version has another address: keep it for ever
WORTH_ZIPPING = ("text/", "image/svg+xml", "application/json", "application/javascript")
SMALL = 1000  # bytes


class StaticFilesMiddleware(WhiteNoiseMiddleware):  # type: ignore[misc]
    """Serve what the finders find, from any process, without a build step."""

    def serve(self, static_file: Any, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method, request.META)
        body = b""
        if found.file is not None:
            with found.file as file:
                body = file.read()
        response = HttpResponse(body, status=int(found.status), headers=dict(found.headers))
        if is_zipped(request, response):
            response.content = zipped(body)
            response["Content-Encoding"] = "gzip"
            response["Content-Length"] = str(len(response.content))
            response["Vary"] = "Accept-Encoding"
        return response

    def immutable_file_test(self, path: str, url: str) -> bool:
        return bool(VERSIONED.search(url))


def is_zipped(request: HttpRequest, response: HttpResponse) -> bool:
    return (
        response.status_code == 200
        and len(response.content) > SMALL
        and response["Content-Type"].startswith(WORTH_ZIPPING)
        and "gzip" in request.headers.get("Accept-Encoding", "")
    )


@lru_cache(maxsize=64)
def zipped(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)
