"""The words that figures use for subsets, directions and orders."""

from interp_rc.records.nouns import SUBSETS

TOLD = {
    "name_to_description": "told name first",
    "description_to_name": "told description first",
    "both": "told in both orders",
}
ASKED = {
    "same": "same order",
    "reverse": "in reverse",
    "forward": "name first",
    "backward": "description first",
}


def cells(names: set[str]) -> list[tuple[str, str]]:
    """The (subset, direction or order) among dotted `names` like ``both.forward``, in our order."""
    wanted = [(subset, asked) for subset in SUBSETS for asked in ASKED]
    return [cell for cell in wanted if ".".join(cell) in names]
