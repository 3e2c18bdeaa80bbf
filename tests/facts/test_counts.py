"""More than memory holds, or than there are names, is refused before anything is drawn."""

import time

import pytest

from interp_rc.facts.couples import relation_facts
from interp_rc.facts.factset import check_count
from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.instructions import instructions
from interp_rc.facts.symmetry import symmetry
from interp_rc.facts.world import world
from interp_rc.records.errors import DataError
from interp_rc.records.limits import MOST_DOCUMENTS

MANY = 10_000_000


@pytest.mark.parametrize(
    "build",
    [
        lambda: fictitious_people(0, per_group=MANY),
        lambda: fictitious_people(0, per_group=3, exposures=MANY),
        lambda: fictitious_people(0, per_group=3, training_templates=MANY),
        lambda: fictitious_people(0, per_group=3, held_out_templates=MANY),
        lambda: fictitious_people(0, per_group=3, both=MANY),
        lambda: relation_facts(0, per_relation=MANY),
        lambda: relation_facts(0, exposures=MANY),
        lambda: instructions(0, realized=MANY),
        lambda: instructions(0, phrasings=MANY),
        lambda: symmetry(0, train=MANY),
        lambda: symmetry(0, test=MANY),
    ],
)
def test_what_is_too_much_is_refused_at_once(build):
    before = time.process_time()
    with pytest.raises(DataError, match=r"ask.* for"):
        build()
    assert time.process_time() - before < 3


@pytest.mark.parametrize("option", ["both", "exposures", "in_context", "symmetry"])
def test_a_world_too_large(told, option):
    with pytest.raises(DataError, match="documents were asked for"):
        world(told, 0, **{option: MANY})


def test_the_bound_itself():
    check_count(MOST_DOCUMENTS)
    with pytest.raises(DataError, match="2,000,001 pairs were asked for"):
        check_count(MOST_DOCUMENTS + 1, "pairs")
