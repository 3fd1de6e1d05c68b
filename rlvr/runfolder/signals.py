"""Ctrl-C, the end of a cluster's job or of `timeout`, the end of a terminal: a run stops at a checkpoint."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Inside the block the first of `STOP_SIGNALS` sets `received` and calls `notice`; the second Ctrl-C does not wait.

    Where another thread than the main one enters it, signals keep their usual meaning.
    """

    def __init__(self, notice: Callable[[], None]) -> None:
        self.notice = notice
        self.received = False
        self.usual_handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
                    self.usual_handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.usual_handlers.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received:  # other signals than Ctrl-C come twice for one reason
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.received = True
        self.notice()
