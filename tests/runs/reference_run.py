"""What a run should do, written as plainly as can be and as differently from the product as can be.

Nothing is counted or carried along: after everything that happens, every block's state is worked out again from the
states of all others until nothing changes. No database, no clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

FINISHED = {"completed", "failed", "cancelled", "upstream_failed", "condition_failed"}
BAD = {"failed", "upstream_failed", "cancelled"}


@dataclass(frozen=True)
class Plan:
    """A block as it is written down."""

    uuid: str
    upstream: tuple[str, ...] = ()
    rule: str = "all_success"
    retries: int = 0
    dynamic: bool = False
    reduce: bool = False


@dataclass
class Part:
    """A block run: of a block, or one of the many that a fanned block is run as."""

    uuid: str
    upstream: tuple[str, ...]
    plan: Plan
    status: str = "initial"
    attempt: int = 1
    failures: int = 0
    losses: int = 0
    items: int = 0  # of a dynamic one that completed
    group: str = ""  # the fanned block that it is one of
    members: tuple[str, ...] | None = None  # of a fanned block, once it is known which

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED

    @property
    def is_open(self) -> bool:
        return not self.is_finished


@dataclass
class Reference:
    plans: dict[str, Plan]
    allow_blocks_to_fail: bool = False
    status: str = "running"
    parts: dict[str, Part] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known: dict[str, tuple[str, ...]] = {}
        self.parts = {plan.uuid: Part(plan.uuid, plan.upstream, plan) for plan in self.plans.values()}
        self.settle()

    # --- what a fanned block is run as

    def dimensions(self, uuid: str) -> tuple[str, ...]:
        """The dynamic blocks over whose items a block is run, outermost first."""
        if uuid in self.known:
            return self.known[uuid]
        found: list[str] = []
        for parent in self.plans[uuid].upstream:
            plan = self.plans[parent]
            handed_on = () if plan.reduce else self.dimensions(parent)
            own = (parent,) if plan.dynamic else ()
            found += [each for each in (*handed_on, *own) if each not in found]
        self.known[uuid] = tuple(found)
        return self.known[uuid]

    def is_fanned(self, uuid: str) -> bool:
        return bool(self.dimensions(uuid))

    def place(self, uuid: str, at: dict[str, int]) -> str:
        """Name the block run of a block that belongs to these items."""
        return ":".join([uuid, *(str(at[each]) for each in self.dimensions(uuid))])

    def combinations(self, uuid: str) -> list[dict[str, int]]:
        found: list[dict[str, int]] = [{}]
        for source in self.dimensions(uuid):
            counts = [(at, self.parts[self.place(source, at)].items) for at in found]
            found = [{**at, source: item} for at, count in counts for item in range(count)]
        return found

    def members_of(self, uuid: str) -> list[Part]:
        plan = self.plans[uuid]
        return [
            Part(
                self.place(uuid, at),
                tuple(parent if self.plans[parent].reduce else self.place(parent, at) for parent in plan.upstream),
                plan,
                group=uuid,
            )
            for at in self.combinations(uuid)
        ]

    # --- what follows from what

    def settle(self) -> None:
        while self.status == "running" and self.one_step():
            pass

    def one_step(self) -> bool:
        """Do one thing that has to follow; False when nothing has."""
        for part in list(self.parts.values()):
            if (status := self.next_of(part)) and status != part.status:
                part.status = status
                return True
        return self.stop_after_a_failure() or self.end()

    def next_of(self, part: Part) -> str | None:
        if not part.group and self.is_fanned(part.uuid):
            return self.next_of_group(part)
        if part.status != "initial":
            return None
        return ruled(part.plan.rule, [self.parts[uuid].status for uuid in part.upstream])

    def next_of_group(self, part: Part) -> str | None:
        if part.status == "initial" and part.members is None:
            states = [self.parts[uuid].status for uuid in self.dimensions(part.uuid)]
            decided = ruled("all_success", states)
            if decided != "queued":
                return decided
            members = self.members_of(part.uuid)
            self.parts |= {member.uuid: member for member in members}
            part.members = tuple(member.uuid for member in members)
            return "waiting"
        if part.members is not None and part.is_open:
            return ended_as([self.parts[uuid].status for uuid in part.members]) or "waiting"
        return None

    def stop_after_a_failure(self) -> bool:
        left = [part for part in self.parts.values() if part.is_open]
        if self.allow_blocks_to_fail or not left or all(part.status != "failed" for part in self.parts.values()):
            return False
        if any(part.plan.rule not in ("all_success", "none_failed") for part in left):
            return False
        self.cut_off()
        return True

    def end(self) -> bool:
        states = {part.status for part in self.parts.values()}
        if not states <= FINISHED:
            return False
        self.status = "failed" if states & {"failed", "upstream_failed"} else "completed"
        if self.status == "completed" and "cancelled" in states:
            self.status = "cancelled"
        return True

    # --- what happens to it

    def of_status(self, status: str) -> list[str]:
        return sorted(uuid for uuid, part in self.parts.items() if part.status == status)

    def claim(self, uuid: str) -> None:
        self.parts[uuid].status = "running"

    def complete(self, uuid: str, items: int = 0) -> None:
        self.parts[uuid].items = items
        self.end_block(uuid, "completed")

    def refuse(self, uuid: str) -> None:
        self.end_block(uuid, "condition_failed")

    def fail(self, uuid: str) -> None:
        part = self.parts[uuid]
        if part.failures < part.plan.retries:
            part.failures += 1
            part.attempt += 1
            part.status = "waiting"
        else:
            self.end_block(uuid, "failed")

    def end_block(self, uuid: str, status: str) -> None:
        self.parts[uuid].status = status
        self.settle()

    def give_back(self, uuid: str) -> None:
        part = self.parts[uuid]
        part.status, part.attempt = "queued", part.attempt + 1

    def lose(self, uuid: str, most: int) -> None:
        part = self.parts[uuid]
        part.losses += 1
        if part.losses >= most:
            self.end_block(uuid, "failed")
        else:
            self.give_back(uuid)

    def wake(self) -> None:
        for part in self.parts.values():
            if part.status == "waiting" and part.members is None:
                part.status = "queued"

    def cancel(self) -> None:
        self.cut_off()
        self.status = "cancelled"

    def retry(self, *, whole: bool) -> None:
        """Run again what is incomplete, or all of it; what is run for items that may be others is worked out anew."""
        again = {uuid for uuid, part in self.parts.items() if whole or part.status != "completed"}
        for part in [self.parts[uuid] for uuid in again]:
            part.status, part.failures, part.losses, part.attempt = "initial", 0, 0, part.attempt + 1
        for part in [self.parts[uuid] for uuid in again if self.parts[uuid].members is not None]:
            if again.intersection(self.dimensions(part.uuid)):
                self.parts = {uuid: other for uuid, other in self.parts.items() if other.group != part.uuid}
                part.members = None
        self.status = "running"
        self.settle()

    def cut_off(self) -> None:
        """End what is open; a block one of whose members has failed has failed itself."""
        for part in [part for part in self.parts.values() if part.is_open]:
            members = [self.parts[uuid].status for uuid in part.members or ()]
            part.status = "failed" if "failed" in members else "cancelled"


def ruled(rule: str, states: Sequence[str]) -> str | None:
    """What a trigger rule makes of a block whose upstream blocks are in these states; None: it waits on."""
    done, bad = all(state in FINISHED for state in states), any(state in BAD for state in states)
    refused, good = "condition_failed" in states, "completed" in states
    if not states:
        return "queued"
    match rule:
        case "all_done":
            return "queued" if done else None
        case "one_success" if good:
            return "queued"
        case "one_success":
            return "upstream_failed" if done else None
        case "one_failed" if bad:
            return "queued"
        case "one_failed":
            return "condition_failed" if done else None
        case "all_failed" if done:
            return "queued" if all(state in BAD for state in states) else "condition_failed"
        case "all_failed":
            return None
    if bad:
        return "upstream_failed"
    if refused and rule == "all_success":
        return "condition_failed"
    return "queued" if done else None


def ended_as(states: Sequence[str]) -> str | None:
    """How a fanned block ends whose members are in these states; None while one goes on."""
    if not all(state in FINISHED for state in states):
        return None
    if "failed" in states or "upstream_failed" in states:
        return "failed"
    if "cancelled" in states:
        return "cancelled"
    return "condition_failed" if states and all(state == "condition_failed" for state in states) else "completed"
