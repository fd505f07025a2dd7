"""Headers that every page carries: what it may load, and that nothing private is kept."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase

from orchestrator_site import pulse

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "form-action 'self'",
    )
)


class PageHeadersMiddleware:
    """Add the policy and `no-store` to each response that does not state its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
        return response


class PulseMiddleware:
    """Bring the header up to date with each refresh of a page's live part."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        is_refresh = request.headers.get("HX-Target") == "live" and response.status_code == 200
        if is_refresh and request.user.is_authenticated and isinstance(response, HttpResponse):
            response.write(pulse.beside(request))
        return response
