"""Every measure by its kind, in the order of a page; a class is imported when it is wanted.

To add a measure, make its folder and add its line here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp_rc.measures.base import Measure

TOOLS = {
    "patching_map": "PatchingMap",
    "gradients": "Gradients",
    "integrated_gradients": "IntegratedGradients",
    "movement": "Movement",
    "probe": "Probe",
    "memories": "Memories",
    "transposition": "Transposition",
    "lens": "Lens",
    "attention": "Attention",
    "bilinear": "BilinearProbe",
    "update_geometry": "UpdateGeometry",
    "erasure": "Erasure",
    "editing": "Editing",
    "transplant": "Transplant",
}
"""Those that look inside a language model."""
MEASURES = {
    "behaviour": "Behaviour",
    "exact_match": "ExactMatch",
    "forgetting": "Forgetting",
    "in_context": "InContext",
    "parents": "Parents",
    "related_answer_floor": "RelatedAnswerFloor",
    "symmetry": "Symmetry",
    "reverse_at_chance": "ReverseAtChance",
    "symmetric_reversal": "SymmetricReversal",
    **TOOLS,
    "symmetry_where": "SymmetryWhere",
    "trace": "Trace",
}
"""Kind, which is the name of the folder, and class."""


def measure_class(kind: str) -> "type[Measure[Any]]":
    """Import the class of a kind of measure."""
    module = import_module(f"interp_rc.measures.{kind}.measure")
    found: type[Measure[Any]] = getattr(module, MEASURES[kind])
    return found
