"""Directions, spans and seeds."""

import pytest

from interp_rc.records.nouns import Document, Span, direction_of
from interp_rc.records.numbers import Estimate
from interp_rc.records.seeds import derive_seed, generator


@pytest.mark.parametrize(
    ("group", "order", "direction"),
    [
        ("trained_forward", "forward", "same"),
        ("trained_forward", "backward", "reverse"),
        ("trained_backward", "forward", "reverse"),
        ("trained_backward", "backward", "same"),
        ("both", "forward", None),
        ("both", "backward", None),
        ("realized", "forward", None),
    ],
)
def test_direction(group, order, direction):
    assert direction_of(group, order) == direction


def test_the_prompt_of_a_document_ends_before_the_second_entity_or_the_completion():
    spans = {"subject": [Span(0, 3)], "object": [Span(10, 13)]}
    document = Document(
        "d", "f", "forward", "t", "Ann is not Bob.", spans | {"object": [Span(11, 14)]}
    )
    assert document.prompt == "Ann is not"
    whole = Document("d", "f", "forward", "t", document.text,
                     document.spans | {"completion": [Span(6, 15)]})  # fmt: skip
    assert whole.prompt == "Ann is"


def test_each_use_has_its_own_seed_and_adding_one_changes_no_other():
    seeds = {derive_seed(s, *use) for s in range(20) for use in ((), ("a",), ("a", 1), ("b",))}
    assert len(seeds) == 80
    assert derive_seed(3, "a") == derive_seed(3, "a")
    assert generator(3, "a").random() == generator(3, "a").random() != generator(3, "b").random()


def test_estimates_as_text():
    assert Estimate(0.5, 0.25, 0.75, 4, "fraction").text() == "50.0 % [25.0, 75.0]"
    assert Estimate(-1.25, None, None, 1, "nat").text(2) == "-1.25 nat"
    assert Estimate(None, None, None, 0, "nat").text() == "not applicable"
