"""Every address of the site that shows something, found by walking the URL map, with what stands in its places.

A new page is found by itself if its places have names that `Places` knows; another place is an error that says so.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.regex_helper import normalize

from pipelines.models import Pipeline
from runs.models import BlockRun, PipelineRun
from schedules.models import Occurrence, PipelineSchedule

# Not measured, and why.
NO_PAGES = {
    "runs/%(run_id)s/blocks/%(block_run_id)s/log/%(attempt)s/": "a stream of a file",
    "runs/%(run_id)s/blocks/%(block_run_id)s/log/%(attempt)s.%(kind)s": "a stream of a file",
    "runs/%(run_id)s/blocks/%(block_run_id)s/outputs/%(name)s.%(form)s": "a file",
    "api/v1/block_runs/%(pk)s/outputs/%(name)s": "a file",
    "api/": "nothing is there",
    "admin/r/%(content_type_id)s/%(object_id)s/": "leads elsewhere",
    "admin/jsi18n/": "a script of Django's",
    "admin/autocomplete/": "only with the words of a form",
    "admin/%(url)s": "nothing is there",
    "admin/login/": "another page for who is logged in",
    "login/": "another page for who is logged in",
    "api/schema/": "does not look at the database",
}
# Without these words in their query strings they are refused.
NEEDED = {"api/v1/logs": "?q=nothing"}
# What else is looked at: words in the query string, or other things in the places of an address.
QUERIES: dict[str, Sequence[str]] = {
    "runs/": (
        "status=failed",
        "status=running",
        "status=initial",
        "pipeline=load_001",
        "pipeline=load_000&status=failed",
        "origin=manual",
        "origin=event&status=cancelled",
        "q=load_03",
        "q=nothing+is+called+so",
        "before=300000",
    ),
    "pipelines/": ("q=load_1", "page=2"),
    "schedules/": ("q=load_1", "state=paused", "page=9"),
    "backfills/": ("q=backfill",),
    "load/": ("timezone=Europe/Berlin",),
    "runs/%(run_id)s/": ("blocks=all",),
    "pipelines/%(uuid)s/grid/": ("blocks=all", "runs=100"),
    "api/v1/pipeline_runs": (
        "status=failed",
        "pipeline_uuid=load_000&status=failed",
        "origin=event",
        "order=created_at",
        "order=-execution_date",
        "execution_date__gte=2020-01-01T00:00:00Z&limit=100",
        "completed_at__gte=2020-01-01T00:00:00Z",
        "passed_sla=true",
        "is_kept=true",
        "q=load_03",
        "q=nothing",
    ),
    "api/v1/pipelines/%(pipeline_uuid)s/pipeline_runs": ("status=failed", "order=created_at", "q=nothing"),
    "api/v1/block_runs": (
        "status=failed",
        "status=running",
        "status=initial",
        "block_uuid=step_2",
        "block_uuid=nothing",
        "pipeline_uuid=load_000&block_uuid=nothing",
        "started_at__gte=2099-01-01T00:00:00Z",
        "role=callback",
        "passed_sla=true",
        "q=nothing",
    ),
    "api/v1/occurrences": ("decision=missed", "decision=held", "order=scheduled_for", "pipeline_uuid=load_001"),
    "admin/runs/pipelinerun/": ("status__exact=failed", "origin__exact=manual", "q=load_03", "p=20", "o=4"),
    "admin/runs/blockrun/": ("status__exact=failed", "q=step_2", "p=20"),
    "admin/runs/event/": ("kind=retry", "q=again"),
    "admin/schedules/occurrence/": ("decision__exact=missed", "p=20"),
}


@dataclass(frozen=True)
class Address:
    """`name` is the same whatever the keys in a database are; `path` is what is asked for."""

    name: str
    path: str


class UnknownPlaces(Exception):
    """An address has a place of which it is not known what stands in it."""


class Places:
    """What stands in the places of addresses: keys of a crowd, each with a word for which it is."""

    def __init__(self) -> None:
        runs = PipelineRun.objects.order_by("-id")
        self.runs = {
            "": runs.filter(status="completed", pipeline__uuid="load_001").first(),
            "failed": runs.filter(status="failed").first(),
            "running": runs.filter(status="running").first(),
            "waiting": runs.filter(status="initial").first(),
            "wide": runs.filter(pipeline__uuid="wide").first(),
            "fanout": BlockRun.objects.filter(role="member").latest("id").pipeline_run,
        }
        self.schedules = {
            "": PipelineSchedule.objects.get(pk=2),
            "busiest": PipelineSchedule.objects.get(pk=1),
            "daily": PipelineSchedule.objects.filter(pipeline__uuid="load_005").latest("id"),
        }

    def of(self, route: str, name: str) -> Mapping[str, Any]:
        """Return what may stand in the place `name` of a route, by a word for each."""
        if name in ("pk", "object_id", "id"):
            return self.keys(route)
        if name in FINDERS:
            return FINDERS[name](self)
        model = model_called(name.removesuffix("_id")) if name.endswith("_id") else None
        if model is None:
            raise UnknownPlaces(f"{route}: say in benchmarks/addresses.py what stands for {name}, or why it is no page")
        return newest(model)

    def keys(self, route: str) -> Mapping[str, Any]:
        """The newest row of what the address names: `api/v1/pools/%(pk)s`, `admin/runs/pool/%(object_id)s`."""
        if route.startswith("admin/"):
            _, app, model, *_ = route.split("/")
            return newest(apps.get_model(app, model))
        resource = route.split("/")[2]
        if resource in ("pipeline_runs", "pipeline_schedules"):
            return self.run_keys() if resource == "pipeline_runs" else self.schedule_keys()
        model = model_called(re.sub("s$", "", re.sub("ies$", "y", resource)))
        if model is None:
            raise UnknownPlaces(f"{route}: say in benchmarks/addresses.py whose keys these are")
        return newest(model)

    def run_keys(self) -> Mapping[str, Any]:
        return {word: run.pk for word, run in self.runs.items() if run}

    def earlier(self) -> Mapping[str, Any]:
        """A run to compare the usual one with."""
        runs = PipelineRun.objects.filter(pipeline=self.runs[""].pipeline_id, pk__lt=self.runs[""].pk)
        return {"": runs.latest("id").pk}

    def schedule_keys(self) -> Mapping[str, Any]:
        return {word: schedule.pk for word, schedule in self.schedules.items()}


def model_called(word: str) -> Any:
    """The model of ours whose name ends as a word does: "pool", "block_run", "rule", "alert_channel"."""
    name = word.replace("_", "")
    ours = [each for each in apps.get_models() if not each.__module__.startswith(("django", "django_q"))]
    names = {str(each._meta.model_name): each for each in ours}
    found = [each for each in names if each.endswith(name) or name.endswith(each)]
    return names[min(found, key=lambda each: abs(len(each) - len(name)))] if found else None


def newest(model: Any, **only: Any) -> Mapping[str, Any]:
    row = model._default_manager.filter(**only).order_by("-pk").first()
    return {"": row.pk} if row else {}


FINDERS: dict[str, Any] = {
    "uuid": lambda _: {"": "load_001", "busiest": "load_000", "wide": "wide"},
    "pipeline_uuid": lambda _: {"": "load_001", "busiest": "load_000"},
    "run_id": Places.run_keys,
    "other_id": lambda places: places.earlier(),
    "other": lambda places: places.earlier(),
    "schedule_id": Places.schedule_keys,
    "block_run_id": lambda places: newest(BlockRun, pipeline_run=places.runs[""]),
    "occurrence_id": lambda _: newest(Occurrence, schedule=2),
    "version_id": lambda _: newest(Pipeline.objects.get(uuid="load_001").versions.model, pipeline__uuid="load_001"),
    "attempt": lambda _: {"": 1},
    "token": lambda _: {"": "x"},
    "verb": lambda _: {"": "pause"},
    "app_label": lambda _: {"": "runs"},
}


DJANGOS_OWN = re.compile(r"admin/(.*/(history|delete|add|password)/|\w+/\w+/[^/]+/$|(auth|django_q|password_change)/)")
BOUND = {"occurrence_id", "block_run_id", "other_id", "other"}  # they belong to what stands before them


def routes(patterns: Sequence[Any] | None = None, before: str = "") -> Iterator[tuple[str, Sequence[str]]]:
    """Walk the URL map; each route with the names of its places."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        for form, names in normalize(str(pattern.pattern.regex.pattern)):
            if isinstance(pattern, URLResolver):
                yield from routes(pattern.url_patterns, before + form)
            elif isinstance(pattern, URLPattern):
                yield before + form, PLACE.findall(before + form) or names


PLACE = re.compile(r"%\((\w+)\)s")


def addresses(places: Places, *, briefly: bool = False) -> Iterator[Address]:
    """Every address to look at; those of which there is nothing in the crowd are left out.

    `briefly`: without what is told apart by its query string only, and without forms that are Django's own.
    """
    seen = set()
    for route, names in routes():
        if route in NO_PAGES or route in seen or (briefly and DJANGOS_OWN.match(route)):
            continue
        seen.add(route)
        for word, chosen in fillings(places, route, names):
            path = f"/{route % chosen}{NEEDED.get(route, '')}"
            shown = "/" + PLACE.sub(r"{\1}", route) + (f" ({word})" if word else "")
            yield Address(shown, path)
            if word in ("", "wide") and not briefly:
                yield from (Address(f"{shown}?{query}", f"{path}?{query}") for query in QUERIES.get(route, ()))


def fillings(places: Places, route: str, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The places of a route filled: as usual, then each place with what else may stand there."""
    options = {name: places.of(route, name) for name in names}
    if not all("" in found for found in options.values()):
        return
    usual = {name: found[""] for name, found in options.items()}
    yield "", usual
    if BOUND & set(usual):
        return
    for name, found in options.items():
        yield from ((word, usual | {name: value}) for word, value in found.items() if word)
