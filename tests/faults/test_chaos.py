"""The short campaign: blow after blow on a real installation, and then every promise is looked at."""

import json
import os

import pytest

from tests.faults.chaos import Campaign, run
from tests.faults.servers import missing

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]
SEED = int(os.environ.get("SEED", "4"))
# What takes longest to heal comes first.
ON_SQLITE = (
    "N6 worker paused",
    "N2 worker killed",
    "N1 child killed",
    "N3 idle worker killed",
    "N10 tables locked",
    "N18 log disk full",
    "N4 scheduler killed",
    "N14 hints multiplied",
    "N5 web killed",
    "N5 tree killed",
)
ON_POSTGRES = (
    "N6 worker and block paused",
    "N7 Postgres crashed",
    "N2 worker killed",
    "N15 hints lost",
    "N4 scheduler killed",
    "N8 sessions ended",
    "N13 Redis away",
    "N3 sentinel killed",
    "N5 tree killed",
    "N7 Postgres restarted",
)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_nothing_is_lost_doubled_or_stuck_when_things_die(database: str) -> None:
    if database == "postgres" and (lacks := missing()):
        pytest.skip(f"{lacks} not found")
    blows = ON_SQLITE if database == "sqlite" else ON_POSTGRES

    verdict, figures = run(Campaign(database, SEED, 60, pause=2.5, per_second=2.0, brief=True, schedule=blows))

    print(json.dumps(figures))
    assert verdict.is_kept, "\n".join([f"seed {SEED}", *verdict.examples(), json.dumps(figures)])
    assert len(figures["nemesis"]) >= len(blows) - 2, f"some could not strike: {figures}"
    assert figures["accepted"] > 20
