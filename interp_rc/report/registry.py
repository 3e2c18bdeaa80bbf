"""Which measure has which section. To add one, add its line here."""

from collections.abc import Callable

from interp_rc.records.runs import Measured, Run
from interp_rc.report import (
    attention,
    behaviour,
    bilinear,
    editing,
    erasure,
    exact_match,
    forgetting,
    generic,
    gradients,
    hypothesis,
    in_context,
    integrated_gradients,
    lens,
    memories,
    movement,
    parents,
    patching_map,
    probe,
    related_answer_floor,
    symmetric_reversal,
    symmetry,
    symmetry_where,
    trace,
    transplant,
    transposition,
    update_geometry,
)
from interp_rc.report.section import Section

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
    """The measure's own section, or the generic one."""
    own = SECTIONS.get(kind)
    return own(run, measured) if own else generic.section(kind, run, measured)
