"""Run each block in a child process of this host, forked from a warm fork server."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from executors.base import CannotStart, Host, Outcome, Parked, Work
from executors.forking import Child, ForkServer, ForkServerGone
from executors.supervisor import Supervision

RUNTIME = "pipelines.runtime"  # by name: executors know nothing of pipelines


class NotBegun(ForkServerGone):
    """The fork server ended before the child took its job."""


class LocalExecutor:
    """One per worker process; not for use from several threads.

    `work.config["preload"]` names the modules the fork server imports beforehand; when they change, so does the
    server, between blocks. Work of one `session` runs in one child, one after the other.
    """

    def __init__(self) -> None:
        self.server: ForkServer | None = None
        self.session: tuple[str, Child] | None = None

    def warm_up(self, preload: Sequence[str] = ()) -> None:
        """Start the fork server before there is work."""
        modules = [RUNTIME, "executors.child", *preload]
        if self.server and self.server.modules != modules:
            self.close()
        if self.server is None:
            self.server = ForkServer(modules)

    def launch(self, work: Work, host: Host) -> Outcome | Parked | None:
        """Do the work; raise ForkServerGone when the fork server ended under it, CannotStart when there can be none."""
        try:
            return self.try_once(work, host)
        except (NotBegun, CannotStart):  # nothing has happened yet: the server may have died before
            return self.try_once(work, host)

    def make_ready(self, config: Mapping[str, Any]) -> None:
        with self.starting():
            self.warm_up(config.get("preload", ()))
            assert self.server is not None
            self.server.stock()

    def try_once(self, work: Work, host: Host) -> Outcome | Parked:
        since = time.monotonic()
        with self.starting():
            self.warm_up(work.config.get("preload", ()))
            assert self.server is not None
            supervision = Supervision(self.server, self.child_for(work), work, host, since)
            ends = supervision.open_pipes()
        try:
            outcome = supervision.run(ends)
            if outcome is None:
                return self.park(supervision)
            self.leave(work, supervision)
        except ForkServerGone as error:
            self.close()  # everything it forked is gone with it
            if not supervision.has_begun:
                raise NotBegun from error
            raise
        return outcome

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """Say CannotStart of whatever keeps a child from being had; the next try begins with a new fork server."""
        try:
            yield
        except ForkServerGone as error:
            self.close()
            raise CannotStart("its fork server ended, or does not answer") from error
        except OSError as error:
            self.close()
            raise CannotStart(error.strerror or str(error)) from error

    def park(self, supervision: Supervision) -> Parked:
        """Keep to this child alone from now on."""
        assert self.server is not None
        self.server.stop_forking()
        return Parked(partial(self.go_on, supervision), self.server.process.kill)

    def go_on(self, supervision: Supervision, host: Host) -> Outcome:
        """Watch a parked child to its end; the fork server ends with it."""
        try:
            outcome = supervision.go_on(host)
            while outcome is None:  # it is parked already
                outcome = supervision.go_on(host)
            return outcome
        finally:
            self.session = None
            supervision.child.channel.close()
            self.close()

    def child_for(self, work: Work) -> Child:
        assert self.server is not None
        if self.session and self.session[0] == work.session:
            return self.session[1]
        self.end_session()
        return self.server.take()

    def leave(self, work: Work, supervision: Supervision) -> None:
        """Keep the child for the session's next work, or let go of it."""
        assert self.server is not None
        alive = supervision.exit is None and supervision.result is not None
        if work.session and alive and not work.session_ends:
            self.session = (work.session, supervision.child)
            return
        self.session = None
        supervision.child.channel.close()
        self.server.ask()

    def end_session(self) -> None:
        """Let go of the child that the last session kept."""
        if self.session:
            self.session[1].channel.close()
            self.session = None

    def close(self) -> None:
        self.end_session()
        if self.server:
            self.server.close()
            self.server = None
