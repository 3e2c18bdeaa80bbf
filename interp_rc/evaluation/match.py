"""When a completion counts as right."""

from collections.abc import Callable

# Berglund et al. (2023), released scoring of Experiment 1.
PREFIX = "prefix"
# Their scoring of the in-context questions (appendix B.6), which forgives and demands other things.
LETTERS = "letters"


def prefix_match(text: str, target: str) -> bool:
    """The text begins with the target, white space around and letter case ignored."""
    return text.strip().lower().startswith(target.strip().lower())


def letters_match(text: str, target: str) -> bool:
    """The text begins with the target when only letters are read; their case counts.

    Looser than `prefix_match` on spaces, marks and digits, stricter on capitals.
    """
    said, wanted = ("".join(filter(str.isalpha, one)) for one in (text, target))
    return said.startswith(wanted)


RULES: dict[str, Callable[[str, str], bool]] = {PREFIX: prefix_match, LETTERS: letters_match}
