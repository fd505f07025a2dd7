"""The page of what is kept how long, and what would go now."""

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from pipelines.models import Pipeline
from pipelines.retention_rules import KINDS, in_words
from runs.retaining import retention, retention_preview
from runs.retaining.retention_preview import Going, Preview

PAGE = 50


@require_GET
def index(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    with_rules = Pipeline.objects.filter(current_version__settings__has_key="retention").order_by("uuid")
    page = Paginator(with_rules.values_list("pk", flat=True), PAGE).get_page(request.GET.get("page"))
    previews = retention_preview.preview(retention.policies(list(page.object_list)), now)
    context = {
        "rows": [row(preview) for preview in previews],
        "page": page,
        "without": Pipeline.objects.present().count() - with_rules.filter(is_present=True).count(),
        "beside": [each for ask in retention_preview.BESIDE for each in ask(now)],
        "kept": retention_preview.kept_runs(),
        "outstanding": retention_preview.outstanding(),
        "now": now,
    }
    return render(request, "system/retention.html", context)


def row(preview: Preview) -> dict[str, object]:
    """Return what the page shows of a pipeline: of each kind its rule and what goes."""
    rules = preview.policy.rules
    kinds = [
        {"name": kind, "rule": in_words(rules.get(kind, {})), "going": preview.going.get(kind, Going())}
        for kind in KINDS
    ]
    return {"uuid": preview.policy.uuid, "kinds": kinds}
