"""How many queries each page and list needs: never more than 20, and never more than is written beside this file.

`make queries` writes it anew, when a page asks more for a reason.
"""

import json
import os
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from benchmarks import crowd
from benchmarks.addresses import Places, addresses
from schedules.simulating import load_forecast
from tests.schedules.simulating import at_once

BASELINE = Path(__file__).with_name("query_baseline.json")
MOST = 20
SAYS = "more queries than written: mend it, or write it anew with `make queries`"


def asked_by_every_page(folder: Path) -> dict[str, int]:
    """Settle a small crowd and look at every address; how many queries each needed that answered with a page."""
    crowd.settle(crowd.SMALL, folder, timezone.now())
    client = Client()
    client.force_login(User.objects.create_superuser("looks", password="correct horse"))
    found = {}
    for address in addresses(Places(), briefly=True):
        with CaptureQueriesContext(connection) as asked:
            status = client.get(address.path).status_code
            count = len(asked)
        assert status in (200, 302, 403, 405), f"{address.path} answered {status}"
        if status == 200:
            found[address.name] = count
    return found


@pytest.mark.django_db
def test_no_page_needs_more_queries_than_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PROJECT_DIR", tmp_path)
    monkeypatch.setattr(load_forecast, "begin", at_once.begin)
    written = json.loads(BASELINE.read_text())

    found = asked_by_every_page(tmp_path)

    if os.environ.get("WRITE_QUERY_BASELINE"):
        BASELINE.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
        return
    assert {name: count for name, count in found.items() if count > written.get(name, 0)} == {}, SAYS
    assert {name: count for name, count in found.items() if count > MOST} == {}
    assert not set(written) - set(found), "pages that are gone are written"
