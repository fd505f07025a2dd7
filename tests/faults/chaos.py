"""`python -m tests.faults.chaos MINUTES=30 SEED=1 DATABASE=postgres`: an installation under blows, then the account.

Exit code 1 when anything was lost, doubled or stuck, or an invariant did not hold; a JSON line is added to the file
named by REPORT (default: chaos.jsonl).
"""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from tests.faults.checker import Checker, Verdict
from tests.faults.load import Load
from tests.faults.nemeses import Stage, impossible, possible
from tests.faults.project import write_triggers
from tests.faults.servers import missing
from tests.faults.tree import ROOT, Tree, planted, wait_until

SETTLES_WITHIN = 180.0  # seconds until everything is finished after the last blow
STOPS_WITHIN = 45.0
TRIGGERS = 10


@dataclass
class Campaign:
    """How long, how often, and with what. `schedule` is the order of the nemeses; without one, dice decide."""

    database: str
    seed: int
    seconds: float
    pause: float = 12.0
    per_second: float = 3.0
    brief: bool = False
    schedule: tuple[str, ...] = ()
    struck: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)


def run(campaign: Campaign) -> tuple[Verdict, dict[str, Any]]:
    """Do it; return what was found and the line for the record."""
    began = time.time()
    with planted(campaign.database, TRIGGERS) as tree:
        tree.start()
        stage = Stage(tree, random.Random(campaign.seed), campaign.brief)
        with Load(tree, campaign.seed, campaign.per_second) as load:
            try:
                strike_on(campaign, stage)
            finally:
                stage.heal_all()
        verdict = account(tree, load, stage)
        left_out = impossible(tree)
    figures = {
        "commit": commit(),
        "seed": campaign.seed,
        "db": campaign.database,
        "seconds": round(time.time() - began),
        "nemesis": campaign.struck,
        "left_out": left_out,
        "lost": verdict.count("lost", "slot"),
        "dup": verdict.count("doubled", "phantom"),
        "stuck": verdict.count("stuck"),
        "overlap": verdict.count("overlap"),
        "stale_writes": verdict.count("stale write"),
        "invariant_rows": verdict.count("invariant"),
        "other": verdict.count("before its parent", "started after cancel", "wrong outcome", "complaint", "end"),
        **verdict.figures,
    }
    return verdict, figures


def strike_on(campaign: Campaign, stage: Stage) -> None:
    """Blow after blow, calm between them."""
    nemeses = possible(stage.tree)
    waiting = [name for name in campaign.schedule if name in nemeses]
    until = time.monotonic() + campaign.seconds
    while time.monotonic() < until and (waiting or not campaign.schedule):
        rest(stage, campaign.pause * stage.dice.uniform(0.5, 1.5))
        name = waiting.pop(0) if campaign.schedule else stage.dice.choice(list(nemeses))
        if strike(stage, nemeses[name]):
            campaign.struck.append(name)
        else:
            campaign.missed.append(name)


def strike(stage: Stage, nemesis: Any) -> bool:
    """Try for a while: some need a block that runs, or a server that is up."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            if nemesis(stage):
                return True
        except (OSError, AssertionError, psycopg2.Error):  # another nemesis has been there
            pass
        rest(stage, 0.3)
    return False


def rest(stage: Stage, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stage.heal_due()
        time.sleep(0.05)


def account(tree: Tree, load: Load, stage: Stage) -> Verdict:
    """Let it come to rest, look, stop everything, and look at what is left."""
    write_triggers(tree.project, TRIGGERS, "inactive")
    settled = time.monotonic()
    with contextlib.suppress(AssertionError):  # the checker names what is not
        wait_until(lambda: is_at_rest(tree), SETTLES_WITHIN)
    settled = time.monotonic() - settled
    verdict = Checker(tree, load, stage).judge()
    verdict.figures["settled_s"] = round(settled, 1)
    verdict.found["end"] = stop_everything(tree)
    said = [line for part in tree.parts for line in part.said().splitlines()]
    verdict.found["invariant"] += [line[-200:] for line in said if "this must never be" in line]
    verdict.figures["tracebacks"] = sum(line.startswith("Traceback") for line in said)
    verdict.figures["errors"] = dict(Counter(line[24:200] for line in said if " ERROR " in line[:40]).most_common(5))
    return verdict


def is_at_rest(tree: Tree) -> bool:
    """Nothing is to be done, and nobody holds anything."""
    active = tree.rows.one("SELECT count(*) FROM schedules_pipelineschedule WHERE is_active AND schedule_type = 'time'")
    unfinished = tree.rows.one("SELECT count(*) FROM runs_pipelinerun WHERE status IN ('initial', 'running')")
    return not active and not unfinished


def stop_everything(tree: Tree) -> list[str]:
    """Stop each part; return what did not end as it should."""
    found = []
    for part in tree.parts:
        try:
            took = part.stop(STOPS_WITHIN)
            if part.process and part.process.returncode != 0:
                found.append(f"{part.name} ended with {part.process.returncode} after {took:.1f} s")
        except subprocess.TimeoutExpired:
            found.append(f"{part.name} did not stop within {STOPS_WITHIN:g} s")
    found += [f"process {one.pid} was left: {' '.join(one.cmdline())[:200]}" for one in tree.left()]
    held = tree.rows.all("SELECT id, status FROM runs_blockrun WHERE status IN ('running', 'queued')")
    return found + [f"block run {pk} is {status} although everything has stopped" for pk, status in held]


def commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def table(figures: dict[str, Any]) -> str:
    """The account for people."""
    rows = {
        "runs accepted by the API / all runs": f"{figures['accepted']} / {figures['runs']}",
        "finished": figures["finished"],
        "lost": figures["lost"],
        "doubled": figures["dup"],
        "stuck": figures["stuck"],
        "overlaps / stale writes": f"{figures['overlap']} / {figures['stale_writes']}",
        "invariant rows / other findings": f"{figures['invariant_rows']} / {figures['other']}",
        "executions / bodies cut off": f"{figures['executions']} / {figures['unfinished_bodies']}",
        "given up after three lost workers": figures.get("given_up", 0),
        "worker killed → its block runs again": words(figures["recovery_ms"]),
        "host gone or paused → its block runs again": words(figures["recovery_by_lease_ms"]),
        f"lateness of {figures.get('slots', 0)} moments": words(figures.get("lateness_ms", {})),
        "answers": figures["http"],
        "at rest after the last blow": f"{figures['settled_s']} s",
        "blows": len(figures["nemesis"]),
        "tracebacks in the logs of our processes": f"{figures['tracebacks']} {figures['errors'] or ''}",
        "cannot be done here": ", ".join(f"{name} ({why})" for name, why in figures["left_out"].items()) or "–",
    }
    return "\n".join(f"{name:46} {value}" for name, value in rows.items())


def words(one: dict[str, int]) -> str:
    if not one.get("count"):
        return "–"
    return (
        f"p50 {one['p50'] / 1000:.1f} s, p99 {one['p99'] / 1000:.1f} s, max {one['max'] / 1000:.1f} s ({one['count']})"
    )


def main(arguments: list[str]) -> int:
    given = dict(one.split("=", 1) for one in arguments if "=" in one)
    if len(given) < len(arguments) or not given.keys() <= {"MINUTES", "SEED", "DATABASE", "REPORT"}:
        print("usage: python -m tests.faults.chaos [MINUTES=30] [SEED=7] [DATABASE=sqlite|postgres] [REPORT=file]")
        return 2
    databases = [given["DATABASE"]] if given.get("DATABASE") else ["sqlite", "postgres"]
    seed, minutes = int(given.get("SEED") or time.time() % 1_000_000), float(given.get("MINUTES") or 30)
    failed = False
    for database in databases:
        if database == "postgres" and (lacks := missing()):
            print(f"postgres: left out, {lacks} not found")
            continue
        print(f"\n{database}, seed {seed}, {minutes / len(databases):g} minutes", flush=True)
        verdict, figures = run(Campaign(database, seed, 60 * minutes / len(databases)))
        print(table(figures))
        for example in verdict.examples():
            print(f"! {example}")
        with open(given.get("REPORT") or os.environ.get("REPORT") or Path("chaos.jsonl"), "a") as file:
            file.write(json.dumps(figures) + "\n")
        failed = failed or not verdict.is_kept
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
