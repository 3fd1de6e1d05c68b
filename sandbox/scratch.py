"""The directory of a worker's jobs where they cannot have a tmpfs of their own (tiers B and C)."""

import os
import shutil
import tempfile


class Scratch:
    """An empty directory outside of every other one; in tier A there is none, and `path` is empty.

    Jobs never run while it is made or removed. What they left in it is removed by the zygote's sweeper (inside/sweep.py),
    which is confined to it.
    """

    def __init__(self, tier: str) -> None:
        self.path = "" if tier == "A" else tempfile.mkdtemp(prefix="rlvr-sandbox-")

    def remove(self) -> None:
        if self.path:
            shutil.rmtree(self.path, ignore_errors=True)
