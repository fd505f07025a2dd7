"""The project whose pipelines are run while things die: each shows one way in which a block can behave."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.faults.witness import Witness

# Bodies are indented into `def block(*_, **known)`; `marks` is a folder for what must be remembered between attempts.
BODIES: Mapping[str, str] = {
    "quick": "pass",
    "short": "time.sleep(0.2)",
    "nap": "time.sleep(known.get('seconds', 3.0))",
    "fails": "raise ValueError('as it should')",
    "flaky": "if known['retry']['attempts'] < 3:\n    raise RuntimeError('not yet')",
    "flood": (
        "print('x' * 1_000_000)\nsys.stdout.write('\\0\\x1b[31m' * 1000)\n"
        "for number in range(5000):\n    print('line', number)\nos.write(1, bytes(range(256)) * 100)"
    ),
    "kills_itself": "import signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "crashes": "import ctypes\nctypes.string_at(0)",
    "leaves": "os._exit(3)",
    "hog": (
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\nheap = []\n"
        "while True:\n    heap.append(bytearray(1 << 24))"
    ),
    "deaf": "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(known.get('seconds', 3.0))",
    "forks": "import subprocess\nsubprocess.Popen(['setsid', 'sleep', '600'])\ntime.sleep(0.5)",
    "poison": (
        "import signal\nserver = os.getppid()\n"
        "worker = int(open(f'/proc/{server}/stat').read().rsplit(')')[1].split()[1])\n"
        "os.kill(worker, signal.SIGKILL)\ntime.sleep(60)"
    ),
}
SENSOR = "return len([1 for _ in os.scandir(marks(known))]) > known.get('looks', 2)"
DIAMOND = [("a", []), ("b", ["a"]), ("c", ["a"]), ("d", ["b", "c"])]


def pipelines() -> dict[str, dict[str, Any]]:
    """Return each pipeline's metadata: (name of the block, body, upstream)."""
    alone = {name: {"blocks": [entry(name, name)]} for name in BODIES}
    alone["flaky"]["blocks"][0]["retry_config"] = {"retries": 3, "delay": 1, "exponential_backoff": False}
    return {
        **alone,
        "diamond": {"blocks": [entry(f"{name}_short", "short", *upstream) for name, upstream in short(DIAMOND)]},
        "chain": {"blocks": [entry(f"q{n}", "quick", *([f"q{n - 1}"] if n else [])) for n in range(5)]},
        "single_file": {
            "concurrency_config": {"pipeline_run_limit_all_triggers": 1},
            "blocks": [entry("alone", "short")],
        },
        "senses": {
            "blocks": [
                {"uuid": "looks", "type": "sensor", "poke_interval": 1, "configuration": source("sensors", "looks")},
                entry("after", "quick", "looks"),
            ]
        },
        "waits": {"blocks": [never(60)]},
        "waits_long": {"blocks": [never(3600)]},
        "minutely": {"blocks": [entry("tick", "quick")]},
    }


def short(graph: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    return [(name, [f"{one}_short" for one in upstream]) for name, upstream in graph]


def entry(uuid: str, body: str, *upstream: str) -> dict[str, Any]:
    return {
        "uuid": uuid,
        "type": "custom",
        "upstream_blocks": list(upstream),
        "configuration": source("custom", body),
    }


def never(interval: int) -> dict[str, Any]:
    return {
        "uuid": "never",
        "type": "sensor",
        "poke_interval": interval,
        "configuration": source("sensors", "never"),
    }


def source(folder: str, body: str) -> dict[str, Any]:
    return {"file_source": {"path": f"{folder}/{body}.py"}}


def write_project(folder: Path, witness: Witness, triggers: int = 10) -> Path:
    """Write it into `folder` with so many minutely triggers, and return the folder."""
    for kind in ("custom", "sensors"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for name, body in BODIES.items():
        (folder / "custom" / f"{name}.py").write_text(block_text(witness, body))
    for name, body in (("looks", SENSOR), ("never", "return False")):
        (folder / "sensors" / f"{name}.py").write_text(sensor_text(witness, body))
    for uuid, content in pipelines().items():
        (folder / "pipelines" / uuid).mkdir(parents=True, exist_ok=True)
        (folder / "pipelines" / uuid / "metadata.yaml").write_text(yaml.safe_dump({"name": uuid, **content}))
    (folder / "metadata.yaml").write_text("project_type: standalone\npreload: []\n")
    write_triggers(folder, triggers)
    return folder


def write_triggers(folder: Path, count: int, status: str = "active") -> None:
    """Write the minutely triggers; a running scheduler takes them over within seconds."""
    entries = [
        {"name": f"every_{n}", "schedule_type": "time", "schedule_interval": "* * * * *", "status": status}
        for n in range(count)
    ]
    (folder / "pipelines" / "minutely" / "triggers.yaml").write_text(yaml.safe_dump({"triggers": entries}))


def block_text(witness: Witness, body: str) -> str:
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    head = "@custom\ndef block(*_, **known):\n    mine = note('begin', known)\n"
    return f"{witness.prelude()}{head}{lines}\n    note('end', known)\n    return mine\n"


def sensor_text(witness: Witness, body: str) -> str:
    folder = str(witness.path.parent / "marks")
    marks = (
        f"def marks(known):\n    folder = f\"{folder}/{{known['pipeline_run_id']}}\"\n"
        "    os.makedirs(folder, exist_ok=True)\n    open(f'{folder}/{time.time_ns()}', 'w').close()\n"
        "    return folder\n\n\n"
    )
    return f"{witness.prelude()}{marks}@sensor\ndef look(*_, **known):\n    note('look', known)\n    {body}\n"
