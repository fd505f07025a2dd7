"""What pages share: the header's pulse, the views that people keep, lists that can be typed into."""

from typing import Any

from django import template
from django.template import Context
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from orchestrator_site import pulse
from orchestrator_site.models import SavedView
from orchestrator_site.saved_views import lasting
from runs.viewer_zone import FIELD, viewer_zone

register = template.Library()


@register.inclusion_tag("_pulse.html", name="pulse", takes_context=True)
def pulse_tag(context: Context) -> dict[str, Any]:
    """Draw the age of the last loop and the number of open incidents; what the view has found is not asked again."""
    return {"pulse": context.get("pulse") or pulse.take(timezone.now())}


@register.inclusion_tag("_saved_views.html", takes_context=True)
def saved_views(context: Context) -> dict[str, Any]:
    """Draw the menu of this page's kept views, with a form to keep the present one. For pages with filters."""
    request = context["request"]
    page, query = request.resolver_match.view_name, lasting(request.META["QUERY_STRING"])
    views = list(SavedView.objects.filter(user_id=request.user.pk, page=page).order_by("name"))
    current = next((view for view in views if view.query == query), None)
    return {"views": views, "page": page, "query": query, "current": current, "request": request}


@register.simple_tag
def your_zone() -> str:
    """Write the zone in which the page speaks."""
    return viewer_zone().key


@register.simple_tag
def zone_field() -> SafeString:
    """Write what says, beside a typed time, by whose clocks it is: a page may be older than the viewer's zone."""
    return format_html('<input type="hidden" name="{}" value="{}">', FIELD, viewer_zone().key)


@register.inclusion_tag("_picker.html")
def picker() -> dict[str, Any]:
    """Bring what a page's `<select data-pick>` need, for its block `scripts`."""
    return {}
