"""Retention by hand: the three commands that clean runs, logs and outputs are one, for a kind each."""

import json
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.utils import timezone

from pipelines import catalog
from pipelines.commands import RefusingCommand, use_project
from pipelines.models import Pipeline
from pipelines.retention_rules import in_words, read_age
from pipelines.stored_folders import Held
from runs.management.commands.run import check_tables
from runs.retaining import janitor, leavings, removing, retention, retention_preview
from runs.retaining.retention import Policy

HOUR = 3600
PROTECTED = (
    "Whatever the rules say, these stay: runs that go on or ended within 15 minutes, runs that are kept, the newest "
    "completed run of a pipeline, and runs that an open backfill counts."
)


class CleaningCommand(RefusingCommand):
    """`kind` is what is removed: "runs" (with all that is theirs), "logs" or "outputs"."""

    kind: ClassVar[str]
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.epilog = (
            f"{PROTECTED} The scheduler does the same by itself every minute, by the rules in metadata.yaml; "
            f"without --retention-period they are what is applied here, and where there are none nothing is removed."
        )
        parser.add_argument("--project", metavar="P", help="folder of the project (default: ORCHESTRATOR_PROJECT)")
        parser.add_argument("--pipeline", "--pipeline-uuid", metavar="UUID", help="only of this pipeline")
        parser.add_argument(
            "--retention-period",
            metavar="AGE",
            help="remove what is older, whatever the rules say: 12h, 30d, 4w (default: the rules in metadata.yaml)",
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        check_tables()
        catalog.refresh(use_project(options["project"]))
        now, policies = timezone.now(), self.policies(options["pipeline"], options["retention_period"])
        if options["dry_run"]:
            self.show(policies, now, as_json=options["json"])
        else:
            self.clean(policies, now, as_json=options["json"])

    def policies(self, uuid: str | None, period: str | None) -> list[Policy]:
        """Return the rules to apply, of this command's kind only. Raises Refusal for an unknown pipeline."""
        age = {"age": round(read_age(period).total_seconds() / HOUR)} if period else None
        chosen = Pipeline.objects.filter(pk=find(uuid).pk) if uuid else Pipeline.objects.all()
        if age:
            rows = chosen.order_by("uuid").values_list("pk", "uuid")
            return [Policy(pk, name, {self.kind: age}) for pk, name in rows]
        found = retention.policies(list(chosen.values_list("pk", flat=True)) if uuid else None)
        return [
            Policy(policy.pipeline_id, policy.uuid, {self.kind: policy.rules[self.kind]})
            for policy in found
            if self.kind in policy.rules
        ]

    def show(self, policies: Sequence[Policy], moment: datetime, *, as_json: bool) -> None:
        previews = retention_preview.preview(policies, moment)
        lines, told = [], []
        for preview in previews:
            rule, going = preview.policy.rules[self.kind], preview.going.get(self.kind, retention_preview.Going())
            size = f" ({going.files.files} files, {going.files.bytes:,} bytes)" if going.runs and going.files else ""
            lines.append(f"{preview.policy.uuid}: {self.of(going.runs)}{size} would go, being {in_words(rule)}")
            told.append({"pipeline_uuid": preview.policy.uuid, "rule": in_words(rule), **going.as_dict()})
        self.tell(lines or [self.no_rules()], {"dry_run": True, "kind": self.kind, "pipelines": told}, as_json)

    def clean(self, policies: Sequence[Policy], moment: datetime, *, as_json: bool) -> None:
        went: Counter[str] = Counter()
        for done in removing.steps(policies, moment):
            if done is not None:
                went[done.cut.policy.uuid] += done.runs
        gone, problems = remove_files(moment)
        lines = [f"{uuid}: {self.of(count)} went" for uuid, count in sorted(went.items())]
        lines = lines or [self.no_rules() if not policies else f"Nothing of the {self.kind} is due to go."]
        lines += [f"{gone.files} files, {gone.bytes:,} bytes removed"] if gone.files else []
        lines += [f"cannot be removed now, tried again by the scheduler: {problem}" for problem in sorted(problems)]
        told = {"dry_run": False, "kind": self.kind, "removed": dict(went), "files": gone.files, "bytes": gone.bytes}
        self.tell(lines, {**told, "problems": sorted(problems)}, as_json)

    def tell(self, lines: Sequence[str], told: dict[str, Any], as_json: bool) -> None:
        self.stdout.write(json.dumps(told) if as_json else "\n".join(lines))

    def of(self, count: int) -> str:
        runs = f"{count} run{'' if count == 1 else 's'}"
        return runs if self.kind == "runs" else f"{self.kind} of {runs}"

    def no_rules(self) -> str:
        return f"No rule says how long {self.kind} are kept: nothing goes. Give --retention-period, or see --help."


def find(uuid: str) -> Pipeline:
    """Return the pipeline, also one whose folder is gone: it may have runs. Raises Refusal."""
    return Pipeline.objects.filter(uuid=uuid).first() or catalog.find(uuid)


def remove_files(moment: datetime) -> tuple[Held, set[str]]:
    """Remove all files that retention has decided about, here and now; return what is gone, and what was in the way."""
    gone, problems, told = Held(), set[str](), set[str]()
    while jobs := janitor.open_leavings(moment):
        results = [leavings.remove(job) for job in jobs]
        gone = sum((result.gone for result in results), gone)
        problems |= {result.problem for result in results if result.problem}
        janitor.settle(results, moment, told)
    return gone, problems
