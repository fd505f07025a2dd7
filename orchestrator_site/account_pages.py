"""The page of one's own account: the password, and the tokens that programs use in one's name."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from orchestrator_site import tokens
from orchestrator_site.models import ApiToken
from pipelines.refusal import Refusal

MOST_TOKENS = 200
RIGHTS = [
    ("read", "read everything"),
    ("read run", "read, and start and stop runs"),
    ("read run write", "read, run, and change triggers"),
]
DAYS = "Days must be a whole number from 1 to 365."


class TokenForm(forms.Form):
    name = forms.CharField(
        max_length=100,
        label="What it is for",
        widget=forms.TextInput(attrs={"class": "form-control", "placeholder": "deploy script"}),
    )
    scopes = forms.ChoiceField(
        label="What it may do", choices=RIGHTS, widget=forms.Select(attrs={"class": "form-select"})
    )
    days = forms.IntegerField(
        label="Days until it ends",
        min_value=1,
        max_value=365,
        initial=tokens.DEFAULT_LIFE.days,
        widget=forms.NumberInput(attrs={"class": "form-control"}),
        error_messages=dict.fromkeys(("required", "invalid", "min_value", "max_value"), DAYS),
    )


@require_http_methods(["GET", "POST"])
def index(request: HttpRequest) -> HttpResponse:
    """Show the tokens; a POST makes one and shows it this once."""
    user, now = owner(request), timezone.now()
    form = TokenForm(request.POST if request.method == "POST" else None)
    context: dict[str, Any] = {"form": form, "now": now}
    if form.is_bound and form.is_valid():
        try:
            _, context["made"] = tokens.issue(
                user,
                name=form.cleaned_data["name"],
                scopes=form.cleaned_data["scopes"].split(),
                expires_at=now + timedelta(days=form.cleaned_data["days"]),
                moment=now,
            )
            context["form"] = TokenForm()
        except Refusal as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
    context["tokens"] = list(ApiToken.objects.filter(user=user).order_by("revoked_at", "-id")[:MOST_TOKENS])
    return render(request, "account/page.html", context, status=422 if form.errors else 200)


@require_POST
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    token = ApiToken.objects.filter(pk=token_id, user=owner(request)).first() if token_id < 2**63 else None
    if token is None:
        raise Http404("You have no such token.")
    tokens.revoke(token, timezone.now())
    messages.success(request, f"The token {token.name} has ended.")
    return redirect("account")


def owner(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # strangers do not come this far
    return request.user
