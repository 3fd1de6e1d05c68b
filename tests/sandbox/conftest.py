"""One sandbox for all tests here; RLVR_SANDBOX_TIER asks for a tier other than the best one."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from sandbox import Limits, Sandbox, Tier

sys.path.insert(0, str(Path(__file__).parent))

# How long a busy machine may hold up what takes no time by itself: a bound against hanging, no measure of speed.
HELD_UP_SECONDS = 20.0


def wanted_tier() -> Tier | None:
    return cast(Tier | None, os.environ.get("RLVR_SANDBOX_TIER") or None)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(workers=1, limits=Limits(memory_mb=256), tier=wanted_tier(), allow_unsafe=wanted_tier() == "C") as box:
        yield box
