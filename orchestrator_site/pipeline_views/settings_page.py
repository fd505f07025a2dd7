"""The view of what a pipeline is set to: variables and settings with where each comes from, callbacks, conditions."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from orchestrator_site.pipeline_views.frame import find, show
from pipelines.graph import FIELDS, Block, jsonable
from pipelines.models import Pipeline, PipelineVersion
from pipelines.project import metadata_path
from pipelines.retention_rules import Rules, in_words
from pipelines.where_from import Sources, settings_of, sources_of
from schedules.models import PipelineSchedule

MOST_TRIGGERS = 100
PLAIN_EXECUTOR = "local_python"  # says no more than nothing, and stands in many files
TOLD_BY_THEMSELVES = ("variables", "callbacks", "retention")
# Of a block, what is told elsewhere or follows from it.
NO_SETTINGS = (
    "uuid",
    "name",
    "type",
    "language",
    "upstream",
    "file",
    "callbacks",
    "conditions",
    "outcomes",
    "unsupported",
)
BY_DEFAULT = {name: jsonable(getattr(Block(uuid=""), name)) for name in FIELDS if name not in NO_SETTINGS}


@require_GET
def settings(request: HttpRequest, uuid: str) -> HttpResponse:
    pipeline = find(uuid)
    return show(request, pipeline, "settings", page_of(pipeline))


def page_of(pipeline: Pipeline) -> dict[str, Any]:
    # (`find` left the texts of the files where they are.)
    version = PipelineVersion.objects.filter(pk=pipeline.current_version_id or 0).first()
    if version is None:
        return {}
    sources = sources_of(metadata_path(pipeline.uuid), version.files, os.environ)
    entries = version.graph["blocks"]
    plain = {name: value for name, value in version.settings.items() if name not in TOLD_BY_THEMSELVES}
    return {
        "variables": variables_of(pipeline, version, sources),
        "settings": [each for each in settings_of(plain, sources) if each.value not in (None, "", {}, [])],
        "retention": retention_in_words(version.settings.get("retention") or {}),
        "after_run": names_of_callbacks(version.settings.get("callbacks") or {}),
        "callbacks": attached(entries, "callback", "callbacks"),
        "conditions": attached(entries, "conditional", "conditions"),
        "blocks": [(entry, found) for entry in entries if entry["executable"] and (found := dict(set_of(entry)))],
    }


def variables_of(pipeline: Pipeline, version: PipelineVersion, sources: Sources | None) -> list[dict[str, Any]]:
    """Return each variable with its origin and the triggers that give it another value; those of triggers alone too."""
    own = version.settings.get("variables") or {}
    given: dict[str, list[tuple[PipelineSchedule, Any]]] = {}
    triggers = PipelineSchedule.objects.filter(pipeline=pipeline).exclude(variables={}).order_by("name", "id")
    for trigger in triggers[:MOST_TRIGGERS]:
        for name, value in trigger.variables.items():
            given.setdefault(name, []).append((trigger, value))
    return [
        {
            "name": name,
            "is_own": name in own,
            "value": own.get(name),
            "origin": sources.origin("variables", name) if sources and name in own else "",
            "triggers": given.get(name, []),
        }
        for name in sorted(own.keys() | given.keys())
    ]


def retention_in_words(rules: Rules) -> dict[str, str]:
    return {kind: in_words(rule) for kind, rule in rules.items()}


def names_of_callbacks(callbacks: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """Return for each outcome the names of what is called after it; the version keeps their whole settings."""
    return {outcome: ", ".join(entry["uuid"] for entry in entries) for outcome, entries in callbacks.items() if entries}


def attached(entries: Sequence[Mapping[str, Any]], kind: str, key: str) -> list[dict[str, Any]]:
    """Return the blocks of a kind that are attached to others, with those."""
    return [
        {"of": entry, "blocks": [other["uuid"] for other in entries if entry["uuid"] in (other.get(key) or ())]}
        for entry in entries
        if entry["type"] == kind
    ]


def set_of(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the settings of a block that are not as they are by default."""
    for name, default in BY_DEFAULT.items():
        value = entry.get(name)
        if name == "configuration" and isinstance(value, Mapping):  # where its code is, is told elsewhere
            value = {key: each for key, each in value.items() if key not in ("file_source", "file_path")}
        if value != default and value not in (None, {}, [], PLAIN_EXECUTOR):
            yield name, value
