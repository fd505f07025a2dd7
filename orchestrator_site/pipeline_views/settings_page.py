"""The view of what a pipeline is set to: variables and settings with where each comes from, callbacks, conditions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from orchestrator_site.pipeline_views.frame import find, show
from pipelines.models import Pipeline
from pipelines.retention_rules import Rules, in_words


@require_GET
def settings(request: HttpRequest, uuid: str) -> HttpResponse:
    pipeline = find(uuid)
    return show(request, pipeline, "settings", page_of(pipeline))


def retention_in_words(rules: Rules) -> dict[str, str]:
    return {kind: in_words(rule) for kind, rule in rules.items()}


def names_of_callbacks(callbacks: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """Return for each outcome the names of what is called after it; the version keeps their whole settings."""
    return {outcome: ", ".join(entry["uuid"] for entry in entries) for outcome, entries in callbacks.items() if entries}


IN_SHORT: dict[str, Callable[[Any], Any]] = {"retention": retention_in_words, "callbacks": names_of_callbacks}


def page_of(pipeline: Pipeline) -> dict[str, Any]:
    version = pipeline.current_version
    return {
        "variables": sorted((version.settings.get("variables") or {}).items()) if version else [],
        "settings": {
            name: IN_SHORT[name](value) if name in IN_SHORT else value
            for name, value in (version.settings if version else {}).items()
            if name != "variables" and value
        },
    }
