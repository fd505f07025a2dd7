"""Taking the triggers.yaml files of a project over now, and saying what that changes."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.utils import timezone

from pipelines import catalog
from pipelines.commands import RefusingCommand, use_project
from pipelines.graph import nearest
from pipelines.project import pipeline_uuids
from pipelines.refusal import Refusal
from runs import one_project
from schedules.files import triggers_yaml
from schedules.files.triggers_yaml import Diff


class Command(RefusingCommand):
    help = (
        "Take over what the triggers.yaml files say, and print what that changes: a running scheduler does the same "
        "within seconds. A file with a mistake changes nothing; then the exit code is 2."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("pipelines", nargs="*", metavar="PIPELINE", help="only these (default: all)")
        parser.add_argument("--project", metavar="P", help="folder of the project (default: ORCHESTRATOR_PROJECT)")
        parser.add_argument("--dry-run", action="store_true", help="print the differences and change nothing")
        parser.add_argument(
            "--prune",
            action="store_true",
            help="delete the triggers whose entry is gone, with their occurrences (runs stay), instead of switching "
            "them off; those that were switched off earlier too",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        project, moment = use_project(options["project"]), timezone.now()
        one_project.refuse_another(project, moment)
        prune, dry_run = options["prune"], options["dry_run"]
        only = checked(project, options["pipelines"])
        if not dry_run:
            catalog.refresh(project)
        diff = triggers_yaml.apply(project, moment, only=only, prune=prune, dry_run=dry_run)
        if options["json"]:
            self.stdout.write(json.dumps(as_dict(diff, prune=prune, dry_run=dry_run), ensure_ascii=False))
        else:
            self.show(diff, prune=prune, dry_run=dry_run)
        if diff.problems:
            raise SystemExit(2)

    def show(self, diff: Diff, *, prune: bool, dry_run: bool) -> None:
        would = "would be " if dry_run else ""
        for name in diff.created:
            self.stdout.write(f"+ {name}: {would}created")
        for name in diff.updated:
            self.stdout.write(f"~ {name}: {would}changed")
            for field, (old, new) in diff.changes[name].items():
                self.stdout.write(f"    {field}: {in_short(old)} → {in_short(new)}")
        for name in diff.removed:
            self.stdout.write(f"- {name}: {would}{'deleted' if prune else 'switched off'}, its entry is gone")
        for found in diff.warnings:
            self.stdout.write(f"! {told(found)}")
        self.stdout.write(
            f"{len(diff.created)} created, {len(diff.updated)} changed, {len(diff.removed)} removed, "
            f"{diff.unchanged} unchanged{' (dry run: nothing was changed)' if dry_run else ''}"
        )
        for found in diff.problems:
            self.stderr.write(told(found))


def checked(project: Path, uuids: list[str]) -> list[str]:
    """Refuse names that are no pipelines of the project."""
    names = pipeline_uuids(project)
    for uuid in uuids:
        if uuid not in names:
            hint = nearest(uuid, names) or f"Pipelines: {', '.join(names)[:200]}."
            raise Refusal(f"There is no pipeline {uuid[:80]!r}.", field="pipeline", hint=hint, code="unknown_pipeline")
    return uuids


def as_dict(diff: Diff, *, prune: bool, dry_run: bool) -> dict[str, Any]:
    """Shape that scripts rely on; with `error` (the first problem) only if a file is broken."""
    data: dict[str, Any] = {
        "dry_run": dry_run,
        "prune": prune,
        "created": diff.created,
        "updated": [
            {"trigger": name, "changes": {key: {"old": old, "new": new} for key, (old, new) in found.items()}}
            for name, found in diff.changes.items()
        ],
        "removed": diff.removed,
        "unchanged": diff.unchanged,
        "warnings": diff.warnings,
        "problems": diff.problems,
    }
    if diff.problems:
        first = diff.problems[0]
        refusal = Refusal(told({**first, "hint": ""}).strip(), field="triggers", hint=first["hint"])
        data["error"] = refusal.as_dict()
    return data


def told(found: dict[str, Any]) -> str:
    where = f"{found['file']} line {found['line']}" if found["line"] else found["file"]
    return f"{where}: {found['reason']} {found['hint']}".strip()


def in_short(value: Any) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:199]}…"
