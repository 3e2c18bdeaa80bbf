"""The words that figures use for subsets, directions and orders."""

from interp_rc.records.nouns import (
    OF_COUPLES,
    OF_PEOPLE,
    SUBSETS,
    TOLD_IN,
    Order,
    Subset,
)

TOLD = {
    "name_to_description": "told name first",
    "description_to_name": "told description first",
    "both": "told in both orders",
    "realized": "told, and shown as examples",
    "question_to_answer": "told question first",
    "answer_to_question": "told answer first",
    "parents": "children and parents",
    "symmetric": "symmetric, one way",
    "inverse": "inverted, one way",
    "antisymmetric": "antisymmetric, one way",
    "symmetric_both": "symmetric, both ways",
    "inverse_both": "inverted, both ways",
}
ASKED = {
    "same": "same order",
    "reverse": "in reverse",
    "false_reverse": "in reverse (false)",
    "forward": "name first",
    "backward": "description first",
}
ASKED_QUESTION = ASKED | {"forward": "question first", "backward": "answer first"}
ASKED_PARENTS = ASKED | {"forward": "who the parent is", "backward": "who the child is"}
ASKED_COUPLES = ASKED | {"forward": "subject first", "backward": "object first"}


def asked_label(subset: str, asked: str) -> str:
    """How a subset is asked: in a direction, or first with what its facts are about."""
    if subset == "parents":
        return ASKED_PARENTS[asked]
    if subset in OF_COUPLES:
        return ASKED_COUPLES[asked]
    return ASKED[asked] if subset in OF_PEOPLE else ASKED_QUESTION[asked]


def cells(names: set[str]) -> list[tuple[str, str]]:
    """The (subset, direction or order) among dotted `names` like ``both.forward``, in our order."""
    wanted = [(subset, asked) for subset in SUBSETS for asked in ASKED]
    return [cell for cell in wanted if ".".join(cell) in names]


READ = {"forward": "the name", "backward": "the description"}


PLACE = {
    "source_first": "at its start",
    "source_last": "at the entity",
    "source_mean": "over its tokens",
    "prompt_last": "at the answer",
}


def told(subset: Subset, order: Order) -> tuple[str, str]:
    """How facts of the subset were told, seen from the order, and the direction of asking."""
    if TOLD_IN[subset] is None:
        return "told in both orders", "both"
    return (
        ("told this way", "same") if TOLD_IN[subset] == order else ("told the other way", "reverse")
    )


SOURCE = {"forward": "name", "backward": "description"}


ASKED_FIRST = {"forward": "Asked name first", "backward": "Asked description first"}
