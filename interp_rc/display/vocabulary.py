"""The words of figures and pages for groups of facts, directions and orders."""

from dataclasses import dataclass

from interp_rc.records.nouns import (
    NAMED,
    PARENTS,
    TOLD_IN,
    TOLD_ONLY,
    TOLD_OTHERWISE,
    Group,
    Order,
    Roles,
)

TOLD = {
    "both": "told in both orders",
    "realized": "told, and shown as examples",
    "parents": "children and parents",
    "symmetric": "symmetric, one way",
    "inverse": "inverted, one way",
    "antisymmetric": "antisymmetric, one way",
    "symmetric_both": "symmetric, both ways",
    "inverse_both": "inverted, both ways",
}
ASKED = {"same": "same order", "reverse": "in reverse", "false_reverse": "in reverse (false)"}
ASKED_PARENTS = {"forward": "who the parent is", "backward": "who the child is"}
PLACE = {
    "source_first": "at its start",
    "source_last": "at the entity",
    "source_mean": "over its tokens",
    "prompt_last": "at the answer",
}


@dataclass(frozen=True, slots=True)
class Words:
    """How a page speaks of facts, by what their subjects and objects are called."""

    roles: Roles = NAMED

    def told(self, group: str) -> str:
        """How the facts of a group were told, e.g. ``told name first``."""
        if group in TOLD:
            return TOLD[group]
        return f"told {self.source(group.removeprefix('trained_'))} first"

    def asked(self, asked: str) -> str:
        """How facts are asked: in a direction, or first with what the prompt names."""
        if asked in ASKED:
            return ASKED[asked]
        if self.roles == PARENTS:
            return ASKED_PARENTS[asked]
        return f"{self.source(asked)} first"

    def cell(self, group: str, asked: str) -> str:
        """Both, e.g. ``told name first, asked in reverse``."""
        return f"{self.told(group)}, asked {self.asked(asked)}"

    def asked_first(self, order: str) -> str:
        """As a panel's title: ``Asked name first``."""
        return f"Asked {self.source(order)} first"

    def source(self, order: str) -> str:
        """What a prompt in that order names, e.g. ``name``."""
        return self.roles.subject if order == "forward" else self.roles.object

    def sought(self, order: str) -> str:
        """What a prompt in that order asks for, e.g. ``description``."""
        return self.roles.object if order == "forward" else self.roles.subject


def told(group: Group, order: Order) -> tuple[str, str]:
    """How facts of the group were told, seen from the order, and the direction of asking."""
    if TOLD_IN[group] is None:
        return "told in both orders", "both"
    return (
        ("told this way", "same") if TOLD_IN[group] == order else ("told the other way", "reverse")
    )


def told_each(order: Order) -> list[tuple[Group, str, str]]:
    """Those told in this order, in both and in the other, each with what `told` says of it."""
    groups: tuple[Group, ...] = (TOLD_ONLY[order], "both", TOLD_OTHERWISE[order])
    return [(group, *told(group, order)) for group in groups]
