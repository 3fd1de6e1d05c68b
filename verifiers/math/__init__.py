"""Is a mathematical answer equal to the ground truth? Exactly, quickly, and whatever the answer holds.

Everything that other packages may use is named here; the modules below are the verifier's own.
"""

from verifiers.math.extract.answer import Mode, extract_answer
from verifiers.math.proof.probe import is_nonzero
from verifiers.math.text.choices import same_choice
from verifiers.math.text.dressing import undress
from verifiers.math.text.numbers import decimal_places
from verifiers.math.tree.nodes import Node, number, rebuild, walk
from verifiers.math.tree.reading import number_of, tree_of, why_unreadable
from verifiers.math.tree.render import render
from verifiers.math.verifier import MathVerifier

__all__ = [
    "MathVerifier",
    "Mode",
    "Node",
    "decimal_places",
    "extract_answer",
    "is_nonzero",
    "number",
    "number_of",
    "rebuild",
    "render",
    "same_choice",
    "tree_of",
    "undress",
    "walk",
    "why_unreadable",
]
