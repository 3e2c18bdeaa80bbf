"""Which measure has which section. To add one, add its line here."""

from collections.abc import Callable
from dataclasses import replace

from interp_rc.display import generic
from interp_rc.display.lookup import MissingNumber
from interp_rc.display.section import Section
from interp_rc.measures.attention import section as attention
from interp_rc.measures.behaviour import section as behaviour
from interp_rc.measures.bilinear import section as bilinear
from interp_rc.measures.editing import section as editing
from interp_rc.measures.erasure import section as erasure
from interp_rc.measures.exact_match import section as exact_match
from interp_rc.measures.forgetting import section as forgetting
from interp_rc.measures.gradients import section as gradients
from interp_rc.measures.in_context import section as in_context
from interp_rc.measures.integrated_gradients import section as integrated_gradients
from interp_rc.measures.lens import section as lens
from interp_rc.measures.memories import section as memories
from interp_rc.measures.movement import section as movement
from interp_rc.measures.parents import section as parents
from interp_rc.measures.patching_map import section as patching_map
from interp_rc.measures.probe import section as probe
from interp_rc.measures.related_answer_floor import section as related_answer_floor
from interp_rc.measures.reverse_at_chance import section as hypothesis
from interp_rc.measures.symmetric_reversal import section as symmetric_reversal
from interp_rc.measures.symmetry import section as symmetry
from interp_rc.measures.symmetry_where import section as symmetry_where
from interp_rc.measures.trace import section as trace
from interp_rc.measures.transplant import section as transplant
from interp_rc.measures.transposition import section as transposition
from interp_rc.measures.update_geometry import section as update_geometry
from interp_rc.records.runs import Measured, Run

SECTIONS: dict[str, Callable[[Run, Measured], Section]] = {
    "behaviour": behaviour.section,
    "exact_match": exact_match.section,
    "forgetting": forgetting.section,
    "in_context": in_context.section,
    "parents": parents.section,
    "reverse_at_chance": hypothesis.section,
    "symmetric_reversal": symmetric_reversal.section,
    "patching_map": patching_map.section,
    "gradients": gradients.section,
    "integrated_gradients": integrated_gradients.section,
    "movement": movement.section,
    "probe": probe.section,
    "memories": memories.section,
    "transposition": transposition.section,
    "lens": lens.section,
    "attention": attention.section,
    "bilinear": bilinear.section,
    "update_geometry": update_geometry.section,
    "editing": editing.section,
    "erasure": erasure.section,
    "related_answer_floor": related_answer_floor.section,
    "symmetry": symmetry.section,
    "transplant": transplant.section,
    "symmetry_where": symmetry_where.section,
    "trace": trace.section,
}


def section(kind: str, run: Run, measured: Measured) -> Section:
    """The measure's own section, or the generic one; that, too, if a number is missing."""
    own = SECTIONS.get(kind)
    if own is None:
        return generic.section(kind, run, measured)
    try:
        return own(run, measured)
    except MissingNumber as missing:
        return replace(
            generic.section(kind, run, measured),
            sentence=(
                f"An earlier version measured this, without {missing}: to measure it again, "
                f"delete measured/{kind}.json in the run’s folder and run again with --resume."
            ),
        )
