"""Which measure has which section. To add one, add its line here."""

from collections.abc import Callable
from dataclasses import replace

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
from interp_rc.report.lookup import MissingNumber
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
