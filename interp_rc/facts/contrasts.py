"""Contrasts: the same question about two facts, and files of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from interp_rc.facts.factset import FactSet
from interp_rc.facts.items import read_items
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_jsonl
from interp_rc.records.nouns import ORDERS, SUBSETS, Contrast, Query
from interp_rc.records.seeds import generator


def contrasts_about(queries: Sequence[Query], partner: Mapping[str, str]) -> list[Contrast]:
    """Each query whose fact has a partner, against the partner's query in the same template.

    `partner` maps fact ids to fact ids; the foil is the partner's target. Raises DataError if a
    partner is not asked in the template.
    """
    asked = {(q.fact, q.template): q for q in queries}
    contrasts = []
    for query in queries:
        if query.fact not in partner:
            continue
        other = asked.get((partner[query.fact], query.template))
        if other is None:
            raise DataError(
                f"fact {partner[query.fact]} is not asked in template {query.template}; "
                "ask every fact in every template"
            )
        contrasts.append(
            Contrast(
                id=f"{query.id}|{other.fact}",
                fact=query.fact,
                order=query.order,
                clean=query.prompt,
                corrupted=other.prompt,
                target=query.target,
                foil=other.target,
                spans={"source": [query.source, other.source]},
            )
        )
    return contrasts


def partners(facts: Sequence[str], seed: int) -> dict[str, str]:
    """Each fact with another one, in a random circle; none if there is only one fact."""
    if len(facts) < 2:
        return {}
    circle = generator(seed, "partners").sample(list(facts), len(facts))
    return dict(zip(circle, [*circle[1:], circle[0]], strict=True))


def held_out_contrasts(facts: FactSet, templates: int) -> list[Contrast]:
    """Every fact against another of its subset, in the first `templates` of each order."""
    partner: dict[str, str] = {}
    for subset in SUBSETS:
        ids = [fact.id for fact in facts.facts if fact.subset == subset]
        partner |= partners(ids, facts.seed or 0)
    chosen: list[str] = []
    for order in ORDERS:
        asked = dict.fromkeys(q.template for q in facts.queries if q.order == order)
        chosen += list(asked)[:templates]
    return contrasts_about([q for q in facts.queries if q.template in chosen], partner)


def write_contrasts(contrasts: Sequence[Contrast], path: Path) -> None:
    write_jsonl(path, map(asdict, contrasts))


def read_contrasts(path: Path) -> list[Contrast]:
    """The contrasts of a file of JSON lines.

    Raises DataError, naming file and line, for faulty lines, ids that come twice, and spans that
    are not two or lie outside their prompts.
    """
    contrasts: dict[str, Contrast] = {}
    for contrast, place in read_items(path, Contrast, optional=("foil", "spans")):
        fault = "its id comes twice" if contrast.id in contrasts else _fault(contrast)
        if fault:
            message = f"contrast {contrast.id!r}: {fault}; correct it"
            raise DataError(message, file=place.file, line=place.line)
        contrasts[contrast.id] = contrast
    if not contrasts:
        raise DataError("holds no contrasts; write one JSON object a line", file=path)
    return list(contrasts.values())


def _fault(contrast: Contrast) -> str | None:
    for name, spans in contrast.spans.items():
        if len(spans) != 2:
            return f"span {name!r} has {len(spans)} places; give two, in clean and in corrupted"
        texts = {"clean": contrast.clean, "corrupted": contrast.corrupted}
        for (which, text), (start, end) in zip(texts.items(), spans, strict=True):
            if not 0 <= start < end <= len(text):
                return (
                    f"span {name!r} is [{start}, {end}] in {which}, which has {len(text)} "
                    "characters"
                )
    return None
