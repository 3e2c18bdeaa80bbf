"""What is wrong with contrasts that cannot measure what is asked of them."""

import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache

from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Contrast, Span

JOINER = "\u200d"


def check_contrasts(contrasts: Sequence[Contrast], *, foils: bool) -> None:
    """Raise DataError, naming the contrast, for half a character, a foil that is the target, and
    one that is asked twice. (Spans are checked where they are read.)

    Args:
        contrasts: All that are measured together.
        foils: Whether a foil is read, so that it must not be the target.
    """
    for contrast in contrasts:
        fault = _text_fault(contrast, foils)
        if fault is not None:
            raise DataError(f"{contrast.named}: {fault}; correct it")
    twice = asked_twice(contrasts)
    if twice is not None:
        later, fault = twice
        raise DataError(f"{later.named} {fault}")


def fault_of(contrast: Contrast) -> str | None:
    """Say what is wrong with a contrast by itself; None where nothing is."""
    faults = (span_fault(contrast, name) for name in contrast.spans)
    return _text_fault(contrast, foils=True) or next(filter(None, faults), None)


def span_fault(contrast: Contrast, name: str) -> str | None:
    """Say what is wrong with one of a contrast's spans; None where nothing is."""
    spans = contrast.spans[name]
    if len(spans) != 2:
        return f"span {name!r} has {len(spans)} places; give two, in clean and in corrupted"
    for which, span in zip(("clean", "corrupted"), spans, strict=True):
        fault = _fault_in(getattr(contrast, which) + contrast.target, Span(*span))
        if fault is not None:
            return f"span {name!r} is [{span[0]}, {span[1]}] in {which}, {fault}"
    return None


def _text_fault(contrast: Contrast, foils: bool) -> str | None:
    texts = {"clean": contrast.clean, "corrupted": contrast.corrupted, "target": contrast.target}
    for name, text in (texts | {"foil": contrast.foil or ""}).items():
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            return f"{name!r} has half a character (a lone surrogate); write the whole one"
    if foils and contrast.foil is not None and contrast.foil.strip() == contrast.target.strip():
        return (
            f"the foil {contrast.foil!r} is the target, so nothing tells them apart; give another "
            "foil, or none"
        )
    return None


def asked_twice(contrasts: Sequence[Contrast]) -> tuple[Contrast, str] | None:
    """Find a contrast whose question an earlier one asks of another fact, or in every respect.

    Its fact would count as two: n would be too large, and intervals too narrow.
    """
    earlier: dict[tuple[str, ...], list[Contrast]] = {}
    for contrast in contrasts:
        before = earlier.setdefault((contrast.clean, contrast.corrupted, contrast.target), [])
        for other in before:
            if other.fact != contrast.fact:
                return contrast, (
                    f"has prompts and target of {other.named}, so one fact would count as two; "
                    'remove one, or give both the same "fact"'
                )
            alone = contrast.clean == contrast.corrupted  # what it was corrupted with is not read
            if not alone and (other.foil, other.spans) == (contrast.foil, contrast.spans):
                return contrast, f"is {other.named} again; remove one"
        before.append(contrast)
    return None


@lru_cache(maxsize=2**14)  # the same span is read at many sites
def _fault_in(text: str, span: Span) -> str | None:
    start, end = span
    counted = _counted_otherwise(text, span)
    if not 0 <= start < end <= len(text):
        return f"which has {len(text)} characters with the target{counted or ''}"
    if text[start:end].isspace():
        return f"where only spaces stand ({text[start:end]!r})"
    for at in (start, end):
        if _splits_character(text, at):
            return (
                f"and position {at} is inside a character that is written as several "
                f"({text[max(0, at - 1) : at + 1]!r}); include all of it, or none"
            )
    return None if counted is None else f"which covers {text[start:end]!r}{counted}"


def _splits_character(text: str, at: int) -> bool:
    """Whether what stands before and behind is shown as one character (Unicode annex 29, but for
    scripts whose letters are composed without marks)."""
    if not 0 < at < len(text):
        return False
    before, behind = text[at - 1], text[at]
    if unicodedata.category(behind).startswith("M") or JOINER in (before, behind):
        return True
    if "\U0001f3fb" <= behind <= "\U0001f3ff" or "\U000e0020" <= behind <= "\U000e007f":
        return True  # a tone of skin, or a tag of a flag
    flags = 0  # two regional indicators are one flag
    while flags < at and _is_flag_half(text[at - 1 - flags]):
        flags += 1
    return _is_flag_half(behind) and flags % 2 == 1


def _is_flag_half(letter: str) -> bool:
    return "\U0001f1e6" <= letter <= "\U0001f1ff"


def _counted_otherwise(text: str, span: Span) -> str | None:
    """What the span covers if it counts UTF-16 units or bytes, where whole words are covered so,
    and not in characters."""
    if 0 <= span.start < span.end <= len(text) and _covers_words(text, span):
        return None
    ways: dict[str, Callable[[str], int]] = {
        "UTF-16 units": lambda letter: 1 + (ord(letter) > 0xFFFF),
        "bytes of UTF-8": lambda letter: len(letter.encode("utf-8", "surrogatepass")),
    }
    for unit, length in ways.items():
        place, at = {0: 0}, 0
        for number, letter in enumerate(text, 1):
            at += length(letter)
            place[at] = number
        if span.start in place and span.end in place:
            there = Span(place[span.start], place[span.end])
            if there != span and there.start < there.end and _covers_words(text, there):
                return (
                    f"; spans count characters, and in {unit} it would be "
                    f"{text[slice(*there)]!r}: write [{there.start}, {there.end}]"
                )
    return None


def _covers_words(text: str, span: Span) -> bool:
    """Whether a span begins and ends where words do."""
    covered = text[slice(*span)]
    cut_before = span.start > 0 and text[span.start - 1].isalnum() and covered[:1].isalnum()
    cut_behind = text[span.end : span.end + 1].isalnum() and covered[-1:].isalnum()
    return covered == covered.strip() != "" and not cut_before and not cut_behind
