"""A small warm process that forks a child for each block; started by a worker, holds no database connection.

`python -m executors.fork_server FD MODULE…`: imports the modules (the block runtime and the project's heavy
libraries), freezes them, and then forks on request. One thread, one control socket (SOCK_SEQPACKET, JSON):

worker → server: {"fork": true}                server → worker: {"child": pid} with the child's channel beside it
                                               server → worker: {"cannot": reason}: no child could be forked
worker → server: {"kill": pid}                 server → worker: {"exit": pid, "status": code or -signal, "left": n}
                                               server → worker: {"missing": {module: reason}} once, at the start

The server is the subreaper of everything its children leave behind: when a child ends, so does all it started.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
OWN_MODULES = 2  # the block runtime and executors.child; what follows are the project's libraries


def main(argv: list[str]) -> None:
    control = socket.socket(fileno=int(argv[0]))
    own_the_processes()
    missing = preload(argv[1 : 1 + OWN_MODULES])
    server = Server(control, runtime=argv[1])
    # Heavy libraries take seconds from a cold disk: the first block shall not wait for what it may not need.
    server.answer_first()
    missing |= preload(argv[1 + OWN_MODULES :])
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError):  # the worker is gone already: the first read says so
        control.send(json.dumps({"missing": missing}).encode())
    server.serve()


def own_the_processes() -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def preload(modules: list[str]) -> dict[str, str]:
    """Import what children will need; say which modules could not be."""
    missing = {}
    for name in modules:
        try:
            importlib.import_module(name)
        except BaseException as error:  # users' libraries: anything may happen in them
            missing[name] = f"{type(error).__name__}: {error}"
    return missing


class Server:
    def __init__(self, control: socket.socket, runtime: str) -> None:
        self.control, self.runtime = control, runtime
        self.children: set[int] = set()
        self.alarm, write_end = os.pipe()
        os.set_blocking(self.alarm, False)
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # The worker decides: when it is gone, the control socket says so.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.write_end = write_end

    def answer_first(self) -> None:
        """Fork the first child if it has been asked for already."""
        if select.select([self.control.fileno()], [], [], 0)[0] and (message := self.control.recv(65536)):
            self.handle(json.loads(message))

    def serve(self) -> None:
        while True:
            ready, _, _ = select.select([self.control.fileno(), self.alarm], [], [])
            if self.alarm in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self.alarm, 4096)
                self.reap()
            if self.control.fileno() in ready:
                message = b""
                with contextlib.suppress(ConnectionResetError):
                    message = self.control.recv(65536)
                if not message:
                    self.end()  # the worker is gone, and with it the right to work
                self.handle(json.loads(message))

    def handle(self, message: dict[str, object]) -> None:
        if "fork" in message:
            self.fork()
        elif message.get("kill") in self.children:
            kill_group(int(str(message["kill"])))

    def fork(self) -> None:
        """Fork a child; a machine that has no room for one may have some later."""
        ours = theirs = None
        try:
            ours, theirs = socket.socketpair()
            pid = os.fork()
        except OSError as error:
            for end in (ours, theirs):
                if end is not None:
                    end.close()
            with contextlib.suppress(OSError):
                self.control.send(json.dumps({"cannot": error.strerror or str(error)}).encode())
            return
        if pid == 0:
            self.become_child(ours, theirs)
        theirs.close()
        self.children.add(pid)
        with contextlib.suppress(OSError):  # the worker is gone: the next read says so
            socket.send_fds(self.control, [json.dumps({"child": pid}).encode()], [ours.fileno()])
        ours.close()

    def become_child(self, ours: socket.socket, theirs: socket.socket) -> None:
        """Leave everything of the server behind and wait for a job. Never returns."""
        try:
            signal.set_wakeup_fd(-1)
            os.setsid()
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            ours.close()
            self.control.close()
            os.close(self.alarm)
            os.close(self.write_end)
            from executors.child import work

            work(theirs, self.runtime)
        finally:
            os._exit(70)

    def reap(self) -> None:
        while True:
            try:
                pid, status, _ = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.children:
                self.children.discard(pid)
                kill_group(pid)
                left = self.end_leftovers()
                message = {"exit": pid, "status": os.waitstatus_to_exitcode(status), "left": left}
                with contextlib.suppress(OSError):
                    self.control.send(json.dumps(message).encode())

    def end_leftovers(self) -> int:
        """Kill what a finished block left running (daemons too: orphans become our children); return how many."""
        ended: set[int] = set()
        for _ in range(100):  # each round reaches those whose parent died in the last
            orphans = own_children() - self.children
            if not orphans:
                break
            for pid in orphans:
                ended.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for pid in orphans:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)
        return len(ended)

    def end(self) -> None:
        """Stop at once, and everything with it."""
        children, self.children = self.children, set()
        for pid in children:
            kill_group(pid)
        self.end_leftovers()
        os._exit(0)


def kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def own_children() -> set[int]:
    me = os.getpid()
    with open(f"/proc/{me}/task/{me}/children") as file:
        return set(map(int, file.read().split()))


if __name__ == "__main__":
    main(sys.argv[1:])
