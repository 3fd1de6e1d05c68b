"""Old garbage is not looked through while the tests here measure how long a reader takes."""

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def garbage_of_others_left_alone() -> Iterator[None]:
    """Where torch and vLLM are loaded, a collection takes over half a second, of whoever is reading at that moment."""
    gc.freeze()
    yield
    gc.unfreeze()
