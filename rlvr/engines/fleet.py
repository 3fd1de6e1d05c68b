"""Several generators behind one interface: each computes in its own thread, and a request goes to the least busy one.

It does not matter which of them samples a completion: samples depend only on the seed and the weights. All have the
same weights, since an update reaches each of them before the next request.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, Queue
from threading import Thread

from rlvr.engines.base import Generator, Request, WeightUpdate
from rlvr.types import Completion

# How long a member computes before it checks for new requests.
TURN_SECONDS = 0.05


@dataclass(frozen=True)
class Task:
    """An action to run in a member's thread, and the future for its result."""

    action: Callable[[], object]
    end: "Future[object]" = field(default_factory=Future)


@dataclass(frozen=True)
class Report:
    """The result of a member's work: finished requests, or an error."""

    member: "Member"
    finished: Sequence[tuple[int, list[Completion]]] = ()
    error: BaseException | None = None


class Member:
    """One generator and the only thread that uses it. `numbers` are the numbers of its open requests."""

    def __init__(self, generator: Generator, reports: "Queue[Report]") -> None:
        self.generator = generator
        self.reports = reports
        self.inbox: Queue[Request | Task | None] = Queue()
        self.numbers: set[int] = set()
        self.is_broken = False
        self.thread = Thread(target=self._work, name="rlvr-generator", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        while True:
            try:
                message = self.inbox.get(block=self.is_broken or self.generator.open() == 0)
            except Empty:
                self._report(lambda: self.generator.ready(TURN_SECONDS))
                continue
            if message is None:
                return
            if isinstance(message, Request):
                self._report(partial(self._submit, message))
                continue
            try:
                message.end.set_result(message.action())
            except BaseException as error:
                message.end.set_exception(error)

    def _aborted(self) -> bool:
        """Forget what is open. An engine that cannot even do that computes no more."""
        try:
            self.generator.abort()
        except BaseException:
            return False
        return True

    def _submit(self, request: Request) -> list[tuple[int, list[Completion]]]:
        self.generator.submit(request)
        return []

    def _report(self, compute: Callable[[], Sequence[tuple[int, list[Completion]]]]) -> None:
        """Report what was finished, or the error that ended it: then nothing of this member is open any more."""
        try:
            finished = compute()
        except BaseException as error:
            self.is_broken = self.is_broken or not self._aborted()
            self.reports.put(Report(self, error=error))
        else:
            if finished:
                self.reports.put(Report(self, finished))

    def call(self, action: Callable[[], object]) -> "Future[object]":
        """Run `action` in the member's thread, after everything that was submitted before."""
        task = Task(action)
        self.inbox.put(task)
        return task.end


class Fleet:
    """A `Generator` over generators. An error in one of them is raised by the next `ready`."""

    def __init__(self, generators: Sequence[Generator]) -> None:
        self.reports: Queue[Report] = Queue()
        self.members = [Member(generator, self.reports) for generator in generators]

    @property
    def version(self) -> int:
        """The version of the oldest weights among the members."""
        return min(member.generator.version for member in self.members)

    @property
    def shares_weights(self) -> bool:
        return all(member.generator.shares_weights for member in self.members)

    def submit(self, request: Request) -> None:
        member = min(self.members, key=lambda member: len(member.numbers))
        member.numbers.add(request.number)
        member.inbox.put(request)

    def ready(self, timeout_seconds: float | None = None) -> list[tuple[int, list[Completion]]]:
        finished: list[tuple[int, list[Completion]]] = []
        while self.open() and not finished:
            try:
                report = self.reports.get(timeout=timeout_seconds)
            except Empty:
                break
            if report.error is not None:
                self._forget(report.member)
                raise report.error
            report.member.numbers.difference_update(number for number, _ in report.finished)
            finished += report.finished
        return finished

    def _forget(self, member: Member) -> None:
        """Drop all that a member was asked for; the others go on."""
        member.call(member._aborted).result()
        reports = []
        while not self.reports.empty():
            reports.append(self.reports.get())
        for report in reports:
            if report.member is not member:
                self.reports.put(report)
        member.numbers.clear()

    def open(self) -> int:
        return sum(len(member.numbers) for member in self.members)

    def abort(self) -> None:
        self._each(lambda generator: generator.abort(), self.members)
        while not self.reports.empty():
            self.reports.get()
        for member in self.members:
            member.numbers.clear()

    def load(self, update: WeightUpdate) -> None:
        self._each(lambda generator: generator.load(update), self.members)

    def close(self) -> None:
        members, self.members = self.members, []
        try:
            self._each(aborted_and_closed, members)
        finally:
            for member in members:
                member.inbox.put(None)
                member.thread.join()

    def _each(self, action: Callable[[Generator], object], members: Sequence[Member]) -> None:
        """Do the same with every member at the same time, and wait for all. Raises what the first of them raised."""
        ends = [member.call(partial(action, member.generator)) for member in members]
        wait(ends)
        for end in ends:
            end.result()


def aborted_and_closed(generator: Generator) -> None:
    with suppress(Exception):  # an engine that has failed is closed all the same
        generator.abort()
    generator.close()
