"""The project that the benchmarks run: the same workloads that the peers were measured with."""

from pathlib import Path

BLOCK = """
import os, time


@data_loader
def block(*args, **kwargs):
    began = time.time()

    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    result = fib(10)
    fd = os.open(os.environ["BENCH_EVENTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    line = f"{kwargs['pipeline_run_id']} {kwargs['block_uuid']} {began:.6f} {time.time():.6f} {os.getpid()}\\n"
    os.write(fd, line.encode())
    os.close(fd)
    return result
"""
ITEMS = """
@data_loader
def items(*args, **kwargs):
    return [list(range(kwargs["count"]))]
"""
SLEEPER = """
import os, signal, subprocess, time


@data_loader
def block(*args, **kwargs):
    {deaf}
    away = subprocess.Popen(["sleep", "300"], start_new_session=True)
    beside = subprocess.Popen(["sleep", "300"])
    for pid in (os.getpid(), away.pid, beside.pid):
        fd = os.open(os.environ["BENCH_EVENTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(fd, f"{{kwargs['pipeline_run_id']}} {{pid}} 0 0 {{pid}}\\n".encode())
        os.close(fd)
    while True:
        time.sleep(1)
"""
TICKS = """
import time


@data_loader
def {name}(*args, **kwargs):
    for _ in range(50):
        print(time.time(), flush=True)
        time.sleep(0.1)
"""
FLOOD = """
import time


@data_loader
def {name}(*args, **kwargs):
    began = time.time()
    for second in range(100):
        numbers = range(second * 5000, second * 5000 + 5000)
        print("\\n".join(f"line {{n}} of a flood that nobody can read" for n in numbers), flush=True)
        time.sleep(max(0, began + 0.1 * (second + 1) - time.time()))
    print("took", time.time() - began)
"""
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"
DAILY = 1000


def write_project(root: Path) -> None:
    """Write chain40, chain40_one (in one process), fan100, dynamic, burst3, single, minutely, idle and all others."""
    root.mkdir(parents=True)
    (root / "metadata.yaml").write_text("project_type: standalone\n")
    (root / "data_loaders").mkdir()
    chain40 = [(f"b{n}", [f"b{n - 1}"] if n else []) for n in range(40)]
    fan = [("first", []), *((f"f{n}", ["first"]) for n in range(100)), ("last", [f"f{n}" for n in range(100)])]
    write_pipeline(root, "chain40", chain40)
    write_pipeline(root, "chain40_one", chain40, "run_pipeline_in_one_process: true\n")
    write_pipeline(root, "fan100", fan)
    write_pipeline(root, "dynamic", [("items", []), ("child", ["items"])], "variables: {count: 1000}\n", ("items",))
    (root / "data_loaders" / "items.py").write_text(ITEMS)
    write_pipeline(root, "burst3", chain40[:3])
    write_pipeline(root, "single", chain40[:1])
    write_pipeline(root, "minutely", chain40[:1])
    write_pipeline(root, "idle", chain40[:1])
    (root / "pipelines" / "minutely" / "triggers.yaml").write_text(trigger("every_minute", "* * * * *"))
    write_sleepers(root)
    for name, code in (("ticks", TICKS), ("flood", FLOOD)):
        write_pipeline(root, name, [(name, [])])
        (root / "data_loaders" / f"{name}.py").write_text(code.format(name=name))
    daily = "".join(entry(f"daily_{n}", f"{n % 60} {n % 7} * * *") for n in range(DAILY))
    (root / "pipelines" / "idle" / "triggers.yaml").write_text("triggers:\n" + daily)


def write_pipeline(
    root: Path, uuid: str, blocks: list[tuple[str, list[str]]], extra: str = "", dynamic: tuple[str, ...] = ()
) -> None:
    lines = [f"uuid: {uuid}\nname: {uuid}\ntype: python\n{extra}blocks:\n"]
    for name, upstream in blocks:
        (root / "data_loaders" / f"{name}.py").write_text(BLOCK)
        lines.append(
            f"- uuid: {name}\n  name: {name}\n  type: data_loader\n  language: python\n"
            f"  upstream_blocks: [{', '.join(upstream)}]\n"
            f"  configuration: {{dynamic: {str(name in dynamic).lower()}}}\n"
        )
    folder = root / "pipelines" / uuid
    folder.mkdir(parents=True)
    (folder / "metadata.yaml").write_text("".join(lines))


def write_sleepers(root: Path) -> None:
    """Write `sleeping` and `deaf` (to SIGTERM): a block, a child of it, and one in a session of its own."""
    for name, deaf in (("sleeping", "pass"), ("deaf", DEAF)):
        write_pipeline(root, name, [(name, [])])
        (root / "data_loaders" / f"{name}.py").write_text(SLEEPER.format(deaf=deaf))


def trigger(name: str, interval: str) -> str:
    return "triggers:\n" + entry(name, interval)


def entry(name: str, interval: str) -> str:
    return f"- name: {name}\n  schedule_type: time\n  schedule_interval: '{interval}'\n  status: active\n"
