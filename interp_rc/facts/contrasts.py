"""Contrasts: the same question about two facts, and files of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from interp_rc.facts.contrast_faults import asked_twice, fault_of
from interp_rc.facts.factset import FactSet
from interp_rc.facts.items import read_lines
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_jsonl
from interp_rc.records.nouns import GROUPS, ORDERS, Contrast, Query, Span, Spans
from interp_rc.records.seeds import generator

OF_QUERIES = ("query", "template", "group", "partner")
OPTIONAL = ("id", "fact", "order", "foil", "spans", "line", *OF_QUERIES)


def contrasts_about(queries: Sequence[Query], partner: Mapping[str, str]) -> list[Contrast]:
    """Each query whose fact has a partner, against the partner's query in the same template.

    `partner` maps fact ids to fact ids; the foil is the partner's target, unless both have one.
    Raises DataError if a
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
                foil=None if other.target == query.target else other.target,
                spans=_spans(query, other),
                query=query.id,
                template=query.template,
                group=query.group,
                partner=other.fact,
            )
        )
    return contrasts


def _spans(query: Query, other: Query) -> Spans:
    """`source`, and A and B as far as the queries know them: the one in both prompts, the other
    in the target, which follows either prompt."""
    later = len(other.prompt) - len(query.prompt)
    spans = {"source": [query.source, other.source]}
    for name, role in (("A", "subject"), ("B", "object")):
        if role not in query.spans:
            continue
        [span, *_] = query.spans[role]
        if span.start >= len(query.prompt):
            spans[name] = [span, Span(span.start + later, span.end + later)]
        elif role in other.spans:
            spans[name] = [span, other.spans[role][0]]
    return spans


def partners(facts: Sequence[str], seed: int) -> dict[str, str]:
    """Each fact with another one, in a random circle; none if there is only one fact."""
    if len(facts) < 2:
        return {}
    circle = generator(seed, "partners").sample(list(facts), len(facts))
    return dict(zip(circle, [*circle[1:], circle[0]], strict=True))


def held_out_contrasts(facts: FactSet, templates: int) -> list[Contrast]:
    """Every fact against another of its group, in the first `templates` of each order."""
    partner: dict[str, str] = {}
    for group in GROUPS:
        ids = [fact.id for fact in facts.facts if fact.group == group]
        partner |= partners(ids, facts.seed or 0)
    chosen: list[str] = []
    for order in ORDERS:
        asked = dict.fromkeys(q.template for q in facts.queries if q.order == order)
        chosen += list(asked)[:templates]
    return contrasts_about([q for q in facts.queries if q.template in chosen], partner)


def swapped(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """Each contrast the other way round: what was corrupted is clean, and the foil is asked for.

    `patch(model, [*contrasts, *swapped(contrasts)], sites)` swaps what two facts have at a site.
    Raises DataError for a contrast without a foil.
    """
    return [_mirrored(contrast) for contrast in contrasts]


def _mirrored(contrast: Contrast) -> Contrast:
    if contrast.foil is None:
        raise DataError(f"{contrast.named} has no foil, which is asked for when it is swapped")
    prompts = contrast.corrupted, contrast.clean
    spans = {
        name: [
            _over(contrast.foil, prompt, span)
            for prompt, span in zip(prompts, (other, one), strict=True)
        ]
        for name, (one, other) in contrast.spans.items()
    }
    return replace(
        contrast,
        id=f"{contrast.id}|swapped",
        clean=contrast.corrupted,
        corrupted=contrast.clean,
        target=contrast.foil,
        foil=contrast.target,
        spans=spans,
    )


def about_foil(contrast: Contrast) -> Contrast:
    """The same prompts, with the foil as the target; of the spans, those in the prompts.

    Raises DataError for a contrast without a foil.
    """
    if contrast.foil is None:
        raise DataError(f"{contrast.named} has no foil to ask for; add one")
    inside = {
        name: both for name, both in contrast.spans.items() if both[0].end <= len(contrast.clean)
    }
    return replace(contrast, target=contrast.foil, foil=contrast.target, spans=inside)


def with_target(contrast: Contrast, target: str) -> Contrast:
    """The same prompts with another target, which spans of the old one are then over, as far as
    it is long enough."""
    prompts = contrast.clean, contrast.corrupted
    spans = {
        name: [_over(target, *one) for one in zip(prompts, both, strict=True)]
        for name, both in contrast.spans.items()
    }
    there = {name: both for name, both in spans.items() if all(a < b for a, b in both)}
    return replace(contrast, target=target, spans=there)


def _over(target: str, prompt: str, span: Span) -> Span:
    """A span of the target, over another target; others stay."""
    if span.start < len(prompt):
        return span
    return Span(span.start, len(prompt) + len(target.rstrip()))


def write_contrasts(contrasts: Sequence[Contrast], path: Path) -> None:
    rows = map(asdict, contrasts)
    write_jsonl(path, ({k: v for k, v in row.items() if k != "line"} for row in rows))


def read_contrasts(path: Path | str) -> list[Contrast]:
    """The contrasts of a file of JSON lines, each `{"clean": …, "corrupted": …, "target": …}`.

    A `foil`, `spans`, an `id` (default: `line N`), the `fact` (default: the id), the `order` and
    what it is made of (`query`, `template`, `group`, `partner`; default: null) may be added. Spans
    count characters. Raises DataError, naming file and line, for faulty lines, ids that come twice,
    a foil that is the target, spans that are not two, lie outside their prompts with the target,
    split a character or count something else (see `fault_of`), and for contrasts that come twice.
    """
    contrasts = read_lines(Path(path), Contrast, "contrasts", OPTIONAL, check=fault_of)
    twice = asked_twice(contrasts)
    if twice is not None:
        later, fault = twice
        raise DataError(f"contrast {later.id!r} {fault}", file=path, line=later.line)
    return contrasts
