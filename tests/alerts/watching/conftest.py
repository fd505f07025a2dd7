"""No rules but those of the test, and no disks but those of the test."""

import pytest

from alerts.models import AlertRule
from alerts.watching import health
from alerts.watching.usual import usual


@pytest.fixture(autouse=True)
def only_rules_of_the_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    usual.known.clear()
    monkeypatch.setattr(health.storage, "problems", lambda host: [])
    if (
        "db" in request.fixturenames
        or "transactional_db" in request.fixturenames
        or request.node.get_closest_marker("django_db")
    ):
        request.getfixturevalue("transactional_db" if "transactional_db" in request.fixturenames else "db")
        AlertRule.objects.all().delete()
