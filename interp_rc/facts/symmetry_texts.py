"""Pairs as plain texts for language models: a premise, and what follows from it."""

from collections.abc import Collection
from functools import cache
from typing import get_args

from interp_rc.facts.symmetry_pairs import symmetry_pairs
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Document, Label, Pair, Span, Spans
from interp_rc.records.packaged import packaged
from interp_rc.records.seeds import derive_seed, generator
from interp_rc.records.strict_yaml import read_yaml

PREMISE, HYPOTHESIS = "{premise}", "{hypothesis}"


def symmetry_texts(
    seed: int, count: int, *, about: Collection[str] | None = None
) -> list[Document]:
    """Pairs of three labels about names of the train split, in training wordings, each in a text.

    The first ones of a longer request are the same. `about` names the relations to tell of (None:
    all). No document is about a fact of a fact set: its `fact` is the pair's id. Raises DataError
    as `symmetry_pairs` does.
    """
    pairs = symmetry_pairs(
        derive_seed(seed, "symmetry_texts"),
        count,
        label_set="three_labels",
        entities="names",
        split="train",
        about=about,
    )
    draw = generator(seed, "symmetry_texts")
    return [_document(pair, draw.randrange(len(ways()[pair.label]))) for pair in pairs]


def _document(pair: Pair, way: int) -> Document:
    """Its spans are those of the hypothesis: of the premise's subject and object where these are
    its entities, and else of what stands first and second in it. `order` says which comes first.
    """
    before, rest = ways()[pair.label][way].split(PREMISE)
    between, after = rest.split(HYPOTHESIS)
    start = len(before + pair.premise + between)
    text = f"{before}{pair.premise}{between}{pair.hypothesis}{after}"
    first, second = (
        [Span(start + span.start, start + span.end) for span in pair.spans[f"hypothesis.{slot}"]]
        for slot in ("subject", "object")
    )
    swapped = pair.form == "swapped"
    spans: Spans = {"subject": second, "object": first} if swapped else {
        "subject": first, "object": second
    }  # fmt: skip
    return Document(
        id=f"symmetry_texts.{pair.id}",
        fact=pair.id,
        order="backward" if swapped else "forward",
        template=f"symmetry_texts.{pair.label}.{way}",
        text=text[:1].upper() + text[1:],
        spans=spans,
    )


@cache
def ways() -> dict[Label, list[str]]:
    """The templates of each label. Raises DataError for a file that is not whole."""
    path = packaged("data") / "relations" / "texts.yaml"
    content = read_yaml(path)
    if not isinstance(content, dict) or set(content) != set(get_args(Label)):
        raise DataError(f"needed are the labels {', '.join(get_args(Label))}", file=path)
    for text in (text for texts in content.values() for text in texts):
        once = all(text.count(slot) == 1 for slot in (PREMISE, HYPOTHESIS))
        if not once or text.index(PREMISE) > text.index(HYPOTHESIS):
            found = f"{text!r} must hold {PREMISE} and then {HYPOTHESIS}, once each"
            raise DataError(found, file=path)
    return {label: content[label] for label in get_args(Label)}
