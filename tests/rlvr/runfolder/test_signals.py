"""Signals that end a run at a checkpoint."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from rlvr.runfolder.signals import STOP_SIGNALS, StopSignals


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def stop(notices: list[str]) -> StopSignals:
    return StopSignals(lambda: notices.append("stopping"))


@pytest.fixture(autouse=True)
def usual_handlers() -> Iterator[None]:
    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    yield
    assert [signal.getsignal(number) for number in STOP_SIGNALS] == before


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_the_first_signal_is_noted_and_said_once(stop: StopSignals, notices: list[str], number: int) -> None:
    with stop:
        assert not stop.received
        send(number)
        assert stop.received
        send(signal.SIGTERM)
        send(signal.SIGHUP)
    assert notices == ["stopping"]


def test_the_second_ctrl_c_does_not_wait(stop: StopSignals) -> None:
    with stop:
        send(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)


def test_after_the_block_signals_have_their_usual_meaning(stop: StopSignals) -> None:
    with stop:
        pass
    with pytest.raises(KeyboardInterrupt):
        send(signal.SIGINT)
    assert not stop.received


def test_a_run_under_nohup_outlives_its_terminal(stop: StopSignals) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop:
            send(signal.SIGHUP)
        assert not stop.received
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_than_the_main_one_leaves_signals_alone(stop: StopSignals) -> None:
    handlers: list[object] = []

    def enter() -> None:
        with stop:
            handlers.extend(signal.getsignal(number) for number in STOP_SIGNALS)

    before = [signal.getsignal(number) for number in STOP_SIGNALS]
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert handlers == before
