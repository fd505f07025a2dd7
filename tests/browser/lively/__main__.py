"""`python -m tests.browser.lively FOLDER [poisoned]`: make it all there, say where as JSON, and serve it."""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import django


def main(folder: Path, *how: str) -> None:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    for name in ("DATABASE_URL", "REDIS_URL"):
        os.environ.pop(name, None)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "orchestrator_site.settings",
        "ORCHESTRATOR_DATA_DIR": str(folder / "data"),
        "ORCHESTRATOR_PROJECT": str(folder / "project"),
        "LOG_LEVEL": "WARNING",
    }
    django.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    said = {
        "url": f"http://127.0.0.1:{listener.getsockname()[1]}",
        **make(folder / "project", is_poisoned="poisoned" in how),
    }
    threading.Thread(target=stay_alive, daemon=True).start()
    print(json.dumps(said), flush=True)
    serve(listener)


def make(project: Path, *, is_poisoned: bool) -> dict[str, Any]:
    """Fill the database; return a session of an administrator's, and every address there is to look at."""
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client
    from django.utils import timezone

    from benchmarks.addresses import addresses
    from runs.models import BlockRun
    from tests.browser.lively import alarms, history, poison
    from tests.browser.lively.places import LivelyPlaces

    call_command("migrate", verbosity=0)
    now = timezone.now()
    admin = User.objects.create_superuser("admin", email="admin@example.com", password="correct horse")
    history.fill(project, now)
    alarms.fill(now, admin)
    if is_poisoned:
        poison.fill()
    client = Client()
    client.force_login(admin)
    broken = BlockRun.objects.filter(status="failed").latest("id")
    return {
        "session": client.cookies["sessionid"].value,
        "addresses": {
            **{each.path: each.name for each in addresses(LivelyPlaces())},
            f"/runs/{broken.pipeline_run_id}/blocks/{broken.pk}/log/{broken.attempt}/": "log",
            "/logs/?q=differ": "logs",
        },
    }


def stay_alive() -> None:
    """There are no schedulers and workers here; their rows say that there are."""
    from django.utils import timezone

    from runs.models import Worker

    while True:
        now = timezone.now()
        Worker.objects.update(seen_at=now)
        Worker.objects.exclude(last_loop_at=None).update(last_loop_at=now)
        time.sleep(3)


def serve(listener: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        "orchestrator_site.asgi:application", lifespan="on", access_log=False, log_level="warning", server_header=False
    )
    uvicorn.Server(config).run(sockets=[listener])


def run(words: Sequence[str]) -> None:
    main(Path(words[0]).resolve(), *words[1:])


if __name__ == "__main__":
    run(sys.argv[1:])
