"""What every page has: headers that say what it may load and that nothing private is kept; the viewer's zone."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.cache import patch_vary_headers

from orchestrator_site import pulse
from runs.viewer_zone import COOKIE
from runs.zones import UTC, known_zone

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


class ViewerZoneMiddleware:
    """Answer pages in the zone that the browser told; the API speaks to everybody in UTC."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith("/api/"):
            return self.get_response(request)
        with timezone.override(known_zone(request.COOKIES.get(COOKIE)) or UTC):
            response = self.get_response(request)
        patch_vary_headers(response, ("Cookie",))
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
