"""Other packages use `verifiers.math` through what it exports, and no module below it."""

import ast
from pathlib import Path

import verifiers.math

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("rlvr", "verifiers", "tasks", "sandbox", "bench", "examples")


def imported_by(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    plain = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    return plain | {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def test_nothing_outside_imports_a_module_of_the_maths_verifier() -> None:
    inside = ROOT / "verifiers" / "math"
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if inside not in path.parents]
    assert files
    reaching = {
        str(path.relative_to(ROOT)): names
        for path in files
        if (names := {name for name in imported_by(path) if name.startswith("verifiers.math.")})
    }
    assert reaching == {}


def test_what_is_exported_is_there() -> None:
    assert [name for name in verifiers.math.__all__ if not hasattr(verifiers.math, name)] == []
    assert sorted(verifiers.math.__all__) == list(verifiers.math.__all__)
