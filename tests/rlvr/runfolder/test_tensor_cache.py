"""Tensors that are computed once and kept."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rlvr.errors import CheckpointError
from rlvr.runfolder.tensor_cache import cached_tensors


@pytest.fixture
def compute() -> Callable[[float], Callable[[], dict[str, torch.Tensor]]]:
    return lambda value: lambda: {"reference": torch.tensor([value])}


def forbidden() -> dict[str, torch.Tensor]:
    return pytest.fail("it was computed again")


def test_what_was_made_of_the_same_rows_is_taken_as_it_is(tmp_path: Path, compute) -> None:
    path = tmp_path / "reference.safetensors"
    assert cached_tensors(path, "abc", compute(1.5), [])["reference"].tolist() == [1.5]
    assert cached_tensors(path, "abc", forbidden, [tmp_path])["reference"].tolist() == [1.5]


def test_before_the_first_checkpoint_other_rows_are_computed_anew(tmp_path: Path, compute) -> None:
    path = tmp_path / "reference.safetensors"
    cached_tensors(path, "abc", compute(1.5), [])
    assert cached_tensors(path, "xyz", compute(2.5), [])["reference"].tolist() == [2.5]
    assert cached_tensors(path, "xyz", forbidden, [])["reference"].tolist() == [2.5]


def test_after_it_other_rows_are_refused_and_what_was_kept_stays(tmp_path: Path, compute) -> None:
    path = tmp_path / "reference.safetensors"
    cached_tensors(path, "abc", compute(1.5), [])
    with pytest.raises(CheckpointError, match="the data has changed since this run began"):
        cached_tensors(path, "xyz", forbidden, [tmp_path / "step-000050"])
    assert cached_tensors(path, "abc", forbidden, [])["reference"].tolist() == [1.5]


def test_a_computation_that_fails_leaves_nothing_to_be_taken_for_a_result(tmp_path: Path, compute) -> None:
    path = tmp_path / "reference.safetensors"

    def fail() -> dict[str, torch.Tensor]:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        cached_tensors(path, "abc", fail, [])
    assert not path.exists()
    assert cached_tensors(path, "abc", compute(1.5), [])["reference"].tolist() == [1.5]
