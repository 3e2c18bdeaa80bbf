"""When a completion counts as right."""

from collections.abc import Callable, Iterable

# Berglund et al. (2023), released scoring of Experiment 1.
PREFIX = "prefix"
# Their scoring of the in-context questions (appendix B.6), which forgives and demands other things.
LETTERS = "letters"
HALF = "\ufffd"  # what decoding makes of bytes that are no whole character


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


def is_open(text: str, targets: Iterable[str], rules: Iterable[str] = (PREFIX,)) -> bool:
    """Whether more text could still decide, by one of the rules, if it begins with a target."""
    begun = text.rstrip(HALF).lstrip()
    return any(COULD_BECOME[rule](begun, target) for target in targets for rule in rules)


def _prefix_open(begun: str, target: str) -> bool:
    # The last letter may be written otherwise once more follows: a Greek sigma.
    could = target.strip().lower().startswith(begun.lower()[:-1])
    return could and not prefix_match(begun, target)


def _letters_open(begun: str, target: str) -> bool:
    said, wanted = ("".join(filter(str.isalpha, one)) for one in (begun, target))
    return wanted.startswith(said) and len(said) < len(wanted)


COULD_BECOME: dict[str, Callable[[str, str], bool]] = {
    PREFIX: _prefix_open,
    LETTERS: _letters_open,
}
