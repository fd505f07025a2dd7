"""A project of pipelines that each show one way a run can go; needs no library."""

from collections.abc import Mapping
from pathlib import Path

import yaml

BLOCKS = {
    "numbers": (
        "@data_loader\ndef load(*_, limit=3, **__):\n    print(f'loading {limit}')\n    return list(range(limit))"
    ),
    "double": "@transformer\ndef double(numbers):\n    return [2 * number for number in numbers]",
    "total": "@data_exporter\ndef total(numbers, **_):\n    print('total', sum(numbers))",
    "raises": "@custom\ndef fail():\n    print('so far so good')\n    raise ValueError('the sky is green')",
    "sleeps": (
        "import time\n@custom\ndef nap(seconds=60.0, **_):\n    print('asleep', flush=True)\n    time.sleep(seconds)"
    ),
    "talks": "@custom\ndef talk(lines=1000, **_):\n    for number in range(lines):\n        print('line', number)",
    "flaky": (
        "from pathlib import Path\n@custom\ndef flaky(mark, **_):\n"
        "    if not Path(mark).exists():\n        Path(mark).touch()\n"
        "        raise RuntimeError('not the first time')\n"
        "    print('now it works')"
    ),
    "looks": (
        "from pathlib import Path\n@sensor\ndef look(mark, **_):\n"
        "    seen = Path(mark).exists()\n    Path(mark).touch()\n    return seen"
    ),
    "witness": (
        "import os, time\n@custom\ndef witness(file, seconds=0.0, **_):\n"
        "    with open(file, 'a') as out:\n        out.write('began\\n')\n"
        "    time.sleep(seconds)\n"
        "    with open(file, 'a') as out:\n        out.write('ended\\n')"
    ),
    "parent": "import os\n@custom\ndef parent(**_):\n    print(os.getppid())",
    "tell": (
        "import time\n"
        "def tell(outcome, data, kwargs):\n"
        "    with open(kwargs.get('file', '/dev/null'), 'a') as out:\n"
        "        out.write(f\"{kwargs['parent_block_uuid']} {outcome} {kwargs['__error']} {data}\\n\")\n"
        "    print('told of', outcome)\n"
        "    time.sleep(kwargs.get('pause', 0))\n"
        "@callback('success')\ndef good(data, **kwargs):\n    tell('success', data, kwargs)\n"
        "@callback('failure')\ndef bad(data, **kwargs):\n    tell('failure', data, kwargs)\n"
        "@callback('cancelled')\ndef off(data, **kwargs):\n    tell('cancelled', data, kwargs)"
    ),
    "piece": "import os, time\n@custom\ndef piece(**_):\n    time.sleep(1)\n    return os.getpid()",
}
PIPELINES: Mapping[str, Mapping[str, object]] = {
    "chain": {
        "blocks": [
            {"uuid": "numbers", "type": "data_loader"},
            {"uuid": "double", "type": "transformer", "upstream_blocks": ["numbers"]},
            {"uuid": "total", "type": "data_exporter", "upstream_blocks": ["double"]},
        ]
    },
    "failing": {
        "blocks": [
            {"uuid": "raises", "type": "custom"},
            {"uuid": "double", "type": "transformer", "upstream_blocks": ["raises"]},
        ]
    },
    "sleeping": {"blocks": [{"uuid": "sleeps", "type": "custom"}]},
    "talking": {"blocks": [{"uuid": "talks", "type": "custom"}]},
    "retrying": {"blocks": [{"uuid": "flaky", "type": "custom", "retry_config": {"retries": 2, "delay": 1}}]},
    "sensing": {
        "blocks": [
            {"uuid": "looks", "type": "sensor", "poke_interval": 1},
            {"uuid": "numbers", "type": "data_loader", "upstream_blocks": ["looks"]},
        ]
    },
    "called_back": {
        "blocks": [{"uuid": "numbers", "type": "data_loader"}, {"uuid": "sleeps", "type": "custom"}],
        "callbacks": [{"uuid": "tell", "type": "callback", "upstream_blocks": ["numbers", "sleeps"]}],
    },
    "telling": {"blocks": [{"uuid": "parent", "type": "custom"}]},
    "witnessed": {"blocks": [{"uuid": "witness", "type": "custom"}]},
    "fanning": {
        "blocks": [
            {"uuid": f"piece_{n}", "type": "custom", "configuration": {"file_source": {"path": "custom/piece.py"}}}
            for n in range(4)
        ]
    },
    "one_at_a_time": {
        "concurrency_config": {"pipeline_run_limit": 1},
        "blocks": [{"uuid": "sleeps", "type": "custom"}],
    },
    "circular": {
        "blocks": [
            {"uuid": "numbers", "type": "data_loader", "upstream_blocks": ["double"]},
            {"uuid": "double", "type": "transformer", "upstream_blocks": ["numbers"]},
        ]
    },
}
FOLDERS = {
    "numbers": "data_loaders",
    "double": "transformers",
    "total": "data_exporters",
    "looks": "sensors",
    "tell": "callbacks",
}


def write_project(folder: Path) -> Path:
    """Write the project into `folder` and return it."""
    for uuid, code in BLOCKS.items():
        path = folder / FOLDERS.get(uuid, "custom") / f"{uuid}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code + "\n")
    for uuid, content in PIPELINES.items():
        (folder / "pipelines" / uuid).mkdir(parents=True)
        (folder / "pipelines" / uuid / "metadata.yaml").write_text(yaml.safe_dump({"name": uuid, **content}))
    (folder / "metadata.yaml").write_text("project_type: standalone\npreload: []\n")
    return folder
