"""A verifier that is another program, in any language: a pair goes in as JSON, a score comes out.

The program is started once per completion and ends with it. It is killed with the worker that runs it when the deadline
passes, so no timeout is set here.
"""

import json
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-I", str(Path(__file__).with_name("checker.py"))]


def sorted_list(completion: str, answer: str, **context: object) -> float:
    """Whether the completion lists the numbers of the ground truth in order; raises if the program fails."""
    pair = json.dumps({"completion": completion, "answer": answer})
    done = subprocess.run(COMMAND, input=pair, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["score"])
