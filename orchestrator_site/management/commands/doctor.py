"""Is this set-up in order, and what to do if not."""

import json
from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from orchestrator_site import checks
from pipelines.commands import RefusingCommand, one_line


class Command(RefusingCommand):
    help = (
        "Check versions, folders, database, Redis, project, executors, clock and processes; say what to do about "
        "each finding. Exit code 1 when something is not in order. Changes nothing."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", metavar="P", help="folder of the project (default: ORCHESTRATOR_PROJECT)")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        for finding in checks.everything(timezone.now()):
            findings.append(finding)
            if not options["json"]:
                self.tell(finding)
        if options["json"]:
            self.stdout.write(json.dumps({"checks": [finding.as_dict() for finding in findings]}))
        if not all(finding.ok for finding in findings):
            raise SystemExit(1)

    def tell(self, finding: checks.Finding) -> None:
        sign = self.style.SUCCESS("ok  ") if finding.ok else self.style.ERROR("FAIL")
        self.stdout.write(f"{sign} {finding.name:<18} {one_line(finding.detail)}")
        if finding.hint and not finding.ok:
            self.stdout.write(f"     {'':<18} → {finding.hint}")
