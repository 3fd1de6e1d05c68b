"""The figures of a page as PNG."""

import sys
from pathlib import Path

import pytest

from rlvr.errors import RlvrError
from rlvr.report.charts import Chart, Line, line_charts
from rlvr.report.conclusions import Comparison, conclude
from rlvr.report.pictures import save_charts, save_pictures
from tests.rlvr.report.runs import run_of

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    cohorts = ["easy", "easy", "hard", "hard"]
    runs = [
        run_of(variant, seed, [[0, 0, 0, 0], [1, seed, 0, last]], cohorts=cohorts)
        for variant, last in (("grpo", 0), ("mine", 1))
        for seed in (0, 1)
    ]
    return conclude(runs, ["accuracy", "incorrect_length_growth"], resamples=50)


def test_there_is_a_picture_for_each_figure_of_the_page(comparison: Comparison, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    written = save_pictures(comparison, tmp_path / "pictures")
    expected = [*(chart.name for chart in line_charts(comparison)), "cohorts"]
    assert [path.stem for path in written] == [*expected, "pairs-accuracy", "pairs-incorrect-length-growth"]
    for path in written:
        assert path.read_bytes().startswith(PNG), path


def test_charts_side_by_side_are_one_picture_of_the_same_bytes_each_time(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    line = Line("grpo", 0, (0.0, 1.0), (0.2, 0.4), (0.1, 0.4), (0.3, 0.5))
    chart = Chart("learning", "Learning", "A note.", "step", "accuracy", True, (line,))
    one, other = save_charts([chart, chart], tmp_path / "a.png"), save_charts([chart, chart], tmp_path / "b.png")
    assert one.read_bytes() == other.read_bytes()
    assert one.read_bytes().startswith(PNG)


def test_without_matplotlib_the_way_out_is_said(
    comparison: Comparison, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(RlvrError, match=r"which is not installed; pip install 'rlvr\[report\]', or use the page"):
        save_pictures(comparison, tmp_path / "pictures")
    assert not (tmp_path / "pictures").exists()
