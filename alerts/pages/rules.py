"""The pages of alert rules: each a sentence, and a form that shows the fields of its kind."""

from typing import Any

from django.contrib import messages
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from alerts import rule_changes
from alerts.models import AlertRule, Channel, Incident
from alerts.pages.incidents import pipelines
from alerts.rule_forms import RuleForm
from pipelines.pages import row_or_404
from runs.views import is_refresh
from runs.zones import zone_names

MOST = 500


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    rules = list(AlertRule.objects.for_list()[:MOST])
    triggers = rule_changes.trigger_names(rules)
    open_ones = Incident.objects.open().order_by().values("rule").annotate(count=Count("pk"))
    counts = dict(open_ones.values_list("rule", "count"))
    rows = [{"rule": rule, "words": words(rule, triggers), "open": counts.get(rule.pk, 0)} for rule in rules]
    context = {"tab": "rules", "rows": rows}
    return render(request, "incidents/_rules_live.html" if is_refresh(request) else "incidents/rules.html", context)


@require_http_methods(["GET", "POST"])
def create(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return show(request, RuleForm(pipeline=request.GET.get("pipeline", "")[:200]))
    form = RuleForm(request.POST)
    rule = form.save(request.user.get_username(), timezone.now()) if form.is_valid() else None
    if rule is None:
        return show(request, form, status=422)
    messages.success(request, f"The rule {rule.name} is saved.")
    return redirect("incidents:rules")


@require_http_methods(["GET", "POST"])
def edit(request: HttpRequest, rule_id: int) -> HttpResponse:
    rule = find(rule_id)
    if request.method != "POST":
        return show(request, RuleForm(rule=rule))
    form = RuleForm(request.POST, rule=rule)
    if not form.is_valid() or form.save(request.user.get_username(), timezone.now()) is None:
        return show(request, form, status=409 if form.is_stale else 422)
    messages.success(request, f"The rule {rule.name} is saved.")
    return redirect("incidents:rules")


@require_POST
def preview(request: HttpRequest) -> HttpResponse:
    """What is being typed as a sentence, or what is wrong with it."""
    form = RuleForm(request.POST)
    form.is_valid()
    problems = [error for name, errors in form.errors.items() if name != "name" for error in errors]
    chosen: list[Channel] = list(form.cleaned_data.get("channels") or [])
    draft = form.draft
    sentence = rule_changes.in_words(draft, chosen, rule_changes.trigger_names([draft]).get(draft.trigger_id or 0, ""))
    return render(request, "incidents/_rule_words.html", {"problems": problems, "words": sentence, "rule": draft})


@require_POST
def switch(request: HttpRequest, rule_id: int) -> HttpResponse:
    rule, is_active = find(rule_id), request.POST.get("to") == "on"
    rule_changes.switch(rule, is_active, timezone.now())
    messages.success(request, f"The rule {rule.name} is {'watched' if is_active else 'switched off'}.")
    return redirect("incidents:rules")


@require_POST
def delete(request: HttpRequest, rule_id: int) -> HttpResponse:
    rule = find(rule_id)
    rule_changes.delete(rule)
    messages.success(request, f"The rule {rule.name} is deleted; its incidents stay.")
    return redirect("incidents:rules")


# --- what the views show --------------------------------------------------------------------------------------------


def words(rule: AlertRule, triggers: dict[int, str]) -> str:
    return rule_changes.in_words(rule, rule.channels.all(), triggers.get(rule.trigger_id or 0, ""))


def find(rule_id: int) -> AlertRule:
    return row_or_404(AlertRule.objects.for_list(), rule_id, "alert rule")


def show(request: HttpRequest, form: RuleForm, status: int = 200) -> HttpResponse:
    pipeline = form.rule.pipeline if form.rule else None
    context: dict[str, Any] = {
        "tab": "rules",
        "form": form,
        "rule": form.rule,
        "pipelines": pipelines(),
        "blocks": rule_changes.blocks_of(pipeline)[:MOST] if pipeline else [],
        "zones": sorted(zone_names()),
    }
    return render(request, "incidents/rule_form.html", context, status=status)
