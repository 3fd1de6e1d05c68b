import os
import pty
import subprocess
import sys

import pytest

from rlvr.progress import Display

METRICS = {
    "loss": 0.5,
    "reward/mean": 0.25,
    "reward/accuracy": 0.25,
    "completion/length": 21.4,
    "groups/with_signal": 0.5,
    "speed/sample_tokens": 12345.6,
    "speed/learn_tokens": 6789.0,
}


def test_without_a_terminal_there_are_plain_lines_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with Display("grpo", steps=25, done=0) as display:
        for done in range(1, 26):
            display.show(done, METRICS)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["grpo 10/25", "grpo 20/25", "grpo 25/25"]
    assert "reward 0.250  accuracy 0.250  length 21  kept 50%  sample tok/s 12,346  learn tok/s 6,789" in lines[0]
    assert lines[-1].endswith("0:00 left")
    assert "\x1b" not in "".join(lines)


def test_the_time_left_is_that_of_the_steps_left() -> None:
    display = Display("grpo", steps=30, done=10)
    display.started -= 100.0  # ten steps took 100 seconds
    assert display.seconds_left(20) == pytest.approx(100.0, abs=1.0)


def test_in_a_terminal_there_is_a_bar_with_the_figures() -> None:
    program = (
        "from rlvr.progress import Display\n"
        "with Display('grpo', 4, 0) as display:\n"
        "    display.say('evaluated')\n"
        f"    [display.show(done, {METRICS!r}) for done in range(1, 5)]\n"
    )
    main, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": "160", "TERM": "xterm"}
    process = subprocess.Popen([sys.executable, "-c", program], stdout=terminal, stderr=terminal, env=environment)
    os.close(terminal)
    shown = b""
    while True:
        try:
            piece = os.read(main, 65536)
        except OSError:  # the other side has closed
            break
        if not piece:
            break
        shown += piece
    assert process.wait() == 0
    text = shown.decode()
    assert "evaluated" in text
    assert "4/4" in text
    assert "reward 0.250" in text
    assert "0:00 left" in text
