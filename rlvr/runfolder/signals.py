"""Stops a run at a checkpoint on Ctrl-C, at the end of a cluster job or of `timeout`, or when a terminal closes."""

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """Inside the block, the first of `STOP_SIGNALS` sets `received` and calls `notice`; a second Ctrl-C stops at once.

    In a thread other than the main one, signals keep their usual meaning.
    """

    def __init__(self, notice: Callable[[], None]) -> None:
        self.notice = notice
        self.received = False
        self.usual_handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                    self.usual_handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self.usual_handlers.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received:  # other signals may arrive twice for the same reason
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            return
        self.received = True
        self.notice()
