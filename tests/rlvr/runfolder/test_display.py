import os
import pty
import re
import subprocess
import sys

import pytest

from rlvr.runfolder.display import Display

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
    assert display.seconds_left(20) == pytest.approx(100.0, abs=20.0)  # 10 more if the machine holds this up for 10


def shown_in_a_terminal(columns: int, program: str) -> list[str]:
    """The rows that are left on a terminal when the program has ended."""
    main, terminal = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm", "NO_COLOR": "1"}
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
    os.close(main)
    assert process.wait() == 0
    rows = [""]
    for piece in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)", shown.decode()):
        if piece == "\n":
            rows.append("")
        elif piece.endswith("A") and piece.startswith("\x1b"):  # one row up
            rows.pop()
        elif piece == "\x1b[2K" or piece == "\r":
            rows[-1] = "" if piece == "\x1b[2K" else rows[-1]
        elif not piece.startswith("\x1b"):
            rows[-1] = piece or rows[-1]
    return [row.rstrip() for row in rows if row.strip()]


PROGRAM = (
    "import time\n"
    "from rlvr.runfolder.display import Display\n"
    "with Display('grpo', 4, 0) as display:\n"
    "    with display.doing('evaluating'):\n"
    "        display.say('evaluated')\n"
    f"    [display.show(done, {METRICS!r}) for done in range(1, 5)]\n"
)


FIRST, SECOND = (
    "loss 0.500  reward 0.250  accuracy 0.250  length 21  kept 50%",
    "sample tok/s 12,346  learn tok/s 6,789",
)


@pytest.mark.parametrize(("columns", "figures"), [(160, [f"{FIRST}  {SECOND}"]), (80, [FIRST, SECOND])])
def test_in_a_terminal_the_bar_has_its_row_and_the_figures_theirs(columns: int, figures: list[str]) -> None:
    rows = shown_in_a_terminal(columns, PROGRAM)
    assert rows[0] == "evaluated"
    assert re.fullmatch(r"grpo .{20} 4/4 0:00:00 0:00 left", rows[1])
    assert rows[2:] == figures


def test_what_is_no_step_is_shown_while_it_lasts() -> None:
    rows = shown_in_a_terminal(
        80, PROGRAM.replace("display.say('evaluated')", "import os; time.sleep(0.5); os._exit(0)")
    )
    assert rows[1:] == ["evaluating ..."]


def test_without_a_terminal_it_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Display("grpo", steps=25, done=0) as display, display.doing("evaluating 8 problems"):
        pass
    assert capsys.readouterr().out == "grpo: evaluating 8 problems ...\n"
