"""How every command of ours tells bad input: one line and exit code 2, never a traceback."""

import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError

from pipelines.project import pipeline_uuids
from pipelines.refusal import Refusal


class RefusingCommand(BaseCommand):
    """A command whose `Refusal`s, wrong arguments and silent databases end it in one line with exit code 2.

    The line goes to stderr; with `--json`, `{"error": {"field", "message", "hint"}}` goes to stdout instead.
    """

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        except CommandError as error:  # only argparse's: what the command itself raises is caught further down
            text = str(error).removeprefix("Error: ")
            hint = f"See manage.py {argv[1]} --help."
            self.refuse(Refusal(one_line(text), field="arguments", hint=hint), as_json="--json" in argv)

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.called_from_command_line = False  # so that a wrong argument raises instead of printing the whole usage
        return parser

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except Refusal as refusal:
            self.refuse(refusal, as_json=bool(options.get("json")))
        except OperationalError as error:
            self.refuse(database_refusal(error), as_json=bool(options.get("json")))
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        except BrokenPipeError:  # the reader went away (`| head -1`): nobody is left to tell
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(141) from None

    def refuse(self, refusal: Refusal, *, as_json: bool) -> NoReturn:
        if as_json:
            self.stdout.write(json.dumps({"error": refusal.as_dict()}))
        else:
            self.stderr.write(one_line(str(refusal)))
        raise SystemExit(2)


def one_line(text: str) -> str:
    return " ".join(text.split())


def database_refusal(error: OperationalError) -> Refusal:
    reason = one_line(str(error))[:300].rstrip(".")
    if "no such table" in reason or "no such column" in reason:
        return Refusal(f"The database is not up to date ({reason}).", field="database", hint="Run manage.py migrate.")
    hint = "Check DATABASE_URL and that the database runs."
    return Refusal(f"The database does not answer ({reason}).", field="database", hint=hint, code="database")


def use_project(folder: str | None) -> Path:
    """Make this process, and those it starts, work on the project in `folder` (None: as the settings say).

    Raises Refusal for a folder that is no project, and changes nothing.
    """
    chosen = Path(settings.PROJECT_DIR) if folder is None else Path(folder).expanduser().resolve()
    pipeline_uuids(chosen)
    if folder is not None:
        settings.PROJECT_DIR = chosen
    os.environ["ORCHESTRATOR_PROJECT"] = str(chosen)
    return chosen
