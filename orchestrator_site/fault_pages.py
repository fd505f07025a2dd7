"""What is shown in place of a page that could not be made: without the database, which may be what is missing."""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template import loader
from django.views.decorators.csrf import requires_csrf_token
from django.views.defaults import server_error

RETRY_AFTER = "5"  # seconds


@requires_csrf_token
def fault(request: HttpRequest) -> HttpResponse:
    """Tell a database that is away from a fault of ours: the one passes by itself."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        address = request.get_full_path() if request.method == "GET" else "/"
        text = loader.get_template("503.html").render({"address": address})
        return HttpResponse(text, status=503, headers={"Retry-After": RETRY_AFTER})
    return server_error(request)
