"""Views that people keep: a page and its filters under a name. The address is the view; this only remembers it."""

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from orchestrator_site.models import SavedView

MOST = 50  # of one person on one page
PASSING = ("page", "after", "before", "cursor")  # where one had scrolled to is no part of a view


class SaveForm(forms.Form):
    name = forms.CharField(max_length=60, label="Name")
    page = forms.CharField(max_length=60)
    query = forms.CharField(max_length=2000, required=False)

    def clean_page(self) -> str:
        """Only pages without numbers in their address can be come back to."""
        page: str = self.cleaned_data["page"]
        try:
            reverse(page)
        except NoReverseMatch:
            raise forms.ValidationError("There is no such page.") from None
        return page

    def clean_query(self) -> str:
        return lasting(self.cleaned_data["query"])


def lasting(query: str) -> str:
    """Return a query string without what is empty or says only where on the page one was."""
    given = QueryDict(query, mutable=True)
    for name in list(given):
        values = [value for value in given.getlist(name) if value]
        given.setlist(name, values)
        if name in PASSING or not values:
            del given[name]
    return given.urlencode()


@require_POST
def save(request: HttpRequest) -> HttpResponse:
    """Keep the view under a name, in place of one of the same name."""
    form = SaveForm(request.POST)
    if not form.is_valid():
        said = "; ".join(f"{name}: {errors[0]}" for name, errors in form.errors.items())
        messages.error(request, f"The view was not saved: {said}")
        return redirect("dashboard" if "page" in form.errors else form.cleaned_data["page"])
    name, page, query = (form.cleaned_data[each] for each in ("name", "page", "query"))
    assert isinstance(request.user, User)
    own = SavedView.objects.filter(user=request.user, page=page)
    if own.exclude(name=name).count() >= MOST:
        messages.error(request, f"The view was not saved: there are {MOST} of this page already; forget one first.")
    else:
        own.update_or_create(
            name=name,
            defaults={"query": query},
            create_defaults={"user": request.user, "page": page, "query": query, "created_at": timezone.now()},
        )
        messages.success(request, f"The view “{name}” is saved.")
    return redirect(f"{reverse(page)}?{query}" if query else reverse(page))


@require_POST
def forget(request: HttpRequest, view_id: int) -> HttpResponse:
    """Forget one of one's own views."""
    assert isinstance(request.user, User)
    view = SavedView.objects.filter(pk=view_id, user=request.user).first()
    if view is None:
        raise Http404
    view.delete()
    messages.success(request, f"The view “{view.name}” is forgotten.")
    return redirect(f"{reverse(view.page)}?{view.query}" if view.query else reverse(view.page))
