"""`create_project PATH`: a new project with one pipeline that runs."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from pipelines.commands import RefusingCommand
from pipelines.new_projects import create_project


class Command(RefusingCommand):
    help = (
        "Make a new project in Mage's layout, with one pipeline that runs as it is. "
        "PATH is a folder that does not exist yet, or is empty."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", help="the project's folder, for example ./my_project")
        parser.add_argument("--json", action="store_true", help="print what was made as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["path"]).expanduser().absolute()
        files = create_project(path)
        if options["json"]:
            self.stdout.write(json.dumps({"project": str(path), "files": files}))
            return
        self.stdout.write(f"Made {path} with {len(files)} files. Its pipeline disk_space runs with:")
        self.stdout.write(f"  python manage.py run disk_space --project {path}")
        self.stdout.write(f"  python manage.py start {path}")
