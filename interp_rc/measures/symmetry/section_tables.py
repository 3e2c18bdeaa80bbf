"""The tables of the page's section on symmetric and antisymmetric relations."""

from collections.abc import Iterator, Sequence

from interp_rc.display.section import Table
from interp_rc.display.wording import number, without_unit
from interp_rc.facts.relations import relations
from interp_rc.measures.symmetry.forgetting_numbers import PUBLISHED
from interp_rc.measures.symmetry.words import (
    DISTANCES,
    METHODS,
    NEEDED,
    OTHERS,
    PAPER,
    SHORTCUTS,
    at,
    methods,
    sample_sizes,
)
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured

Column = tuple[str, tuple[str, ...], tuple[str, ...]]
"""Its name and where its numbers are: before the variant, and after it."""
Columns = Sequence[Column]
TWO: Columns = [
    ("names", ("main", "two_labels", "names"), ("same",)),
    ("all draws, most pairs", ("samples",), ()),
    ("ids", ("main", "two_labels", "ids"), ("same",)),
    ("other wordings", ("main", "two_labels", "names"), ("held_out",)),
    ("asked with ids", ("main", "two_labels", "names"), ("other_entities",)),
    ("another entity: the class’s answer", ("main", "two_labels", "names"), ("wrong_entity",)),
    ("both others: the class’s", ("main", "two_labels", "names"), ("shuffled",)),
    ("relations left out, names", ("left_out", "two_labels", "names"), ()),
    ("relations left out, ids", ("left_out", "two_labels", "ids"), ()),
]
THREE: Columns = [
    ("names", ("main", "three_labels", "names"), ("same",)),
    ("swapped", ("main", "three_labels", "names"), ("same", "swapped")),
    ("unswapped", ("main", "three_labels", "names"), ("same", "unswapped")),
    ("wrong entity", ("main", "three_labels", "names"), ("same", "wrong_entity")),
    ("asked with ids", ("main", "three_labels", "names"), ("other_entities",)),
    ("other wordings", ("main", "three_labels", "names"), ("held_out",)),
]

FORGOTTEN = {
    ("sentences", "before", "accuracy"): "apart, before",
    ("sentences", "kept", "lost"): "lost, head kept",
    ("sentences", "refitted", "lost"): "lost, fitted anew",
    ("together", "before", "accuracy"): "together, before",
    ("together", "kept", "lost"): "together: lost, head kept",
    ("together", "refitted", "lost"): "together: lost, fitted anew",
    ("similarity", "before"): "similarity, before",
    ("similarity", "after"): "similarity, after",
}


def tables(measured: Measured) -> list[Table]:
    """Those that this run has numbers for."""
    made = (
        accuracy(measured, TWO, TWO_CAPTION),
        accuracy(measured, THREE, THREE_CAPTION),
        by_relation(measured),
        needed(measured),
        new_label(measured),
        forgetting(measured),
        own(measured),
    )
    return [table for table in made if table is not None]


TWO_CAPTION = (
    "Two labels, the published form, and every control [%]; chance is 50. “As it came”: the method "
    "on the encoder before retraining, with labels drawn at random, neighbours of the same "
    f"training pairs, or an untrained head. {PAPER} give about 50 before and 100 after for "
    "RoBERTa-large; for the MiniLM encoders their numbers could not be had. “The class’s answer”: "
    "the one that the class of the relation gives, although nothing follows about the entities now "
    "named; a reader of pairs would not give it. Of relations left out the unit is the relation, "
    "each in turn. Intervals over the test pairs of one training leave out how draws differ: “all "
    "draws” are those of the search for the pairs needed, at its largest size."
)
THREE_CAPTION = (
    "Three labels [%]: swapped, unswapped in other words (entailed), or about a wrong entity "
    "(neutral), so that whether the hypothesis is swapped, and whom it is about, must be read. A "
    "third is chance, and little over a half is what the relation’s words can give"
)


def accuracy(measured: Measured, columns: Columns, caption: str) -> Table | None:
    """A row for every method before and after retraining, and for every shortcut."""
    rows = []
    there = [one for one in columns if any(_column(measured, one))]
    for variant, label in (METHODS | OTHERS | SHORTCUTS).items():
        for when, said in (("before", "as it came"), ("after", "retrained")):
            found = [_cell(measured, one, variant, when) for one in there]
            if any(found):
                name = label if variant in SHORTCUTS else f"{label}, {said}"
                rows.append([name, *("" if one is None else without_unit(one) for one in found)])
    names = [name for name, _, _ in there]
    return Table(caption, ["method", *names], rows, names) if rows else None


def _column(measured: Measured, column: Column) -> Iterator[Estimate | None]:
    return (_cell(measured, column, method, "after") for method in methods(measured))


def _cell(measured: Measured, column: Column, variant: str, when: str) -> Estimate | None:
    _, start, end = column
    if start != ("samples",):
        return at(measured, *start, variant, *end, when)
    sizes = sample_sizes(measured, variant)
    return at(measured, *start, variant, f"size_{sizes[-1]}") if sizes and when == "after" else None


def by_relation(measured: Measured) -> Table | None:
    """Each relation that was left out, two labels and names, after retraining on the others."""
    columns = [(m, e) for e in ("names", "ids") for m in [*methods(measured), "relation_only"]]
    found = {
        (relation, method, entities): one
        for relation in relations()
        for method, entities in columns
        if (one := at(measured, "left_out", "two_labels", entities, method, relation, "after"))
    }
    there = {entities for _, _, entities in found}
    columns = [column for column in columns if column[1] in there]
    lines = []
    for name, entry in relations().items():
        cells = [_share(one) if (one := found.get((name, *column))) else "" for column in columns]
        if any(cells):
            lines.append([entry.wordings[0].words, entry.symmetry, *cells])
    if not lines:
        return None
    heads = [
        f"{METHODS[method][:3] if method in METHODS else 'words alone,'} {entities}"
        for method, entities in columns
    ]
    return Table(
        "Relations left out, one by one: right after retraining on all others [%]. One training a "
        "cell, so that a single cell says little. “Words alone”: a regression on the vector of the "
        "relation’s words, as the encoder came",
        ["relation", "class", *heads],
        lines,
        heads,
    )


def _share(rate: Estimate) -> str:
    """In percent; of whole pairs, since a half is not rounded as the product of a fraction is."""
    return number(100 * round((rate.value or 0.0) * rate.n) / rate.n, 0)


def needed(measured: Measured) -> Table | None:
    rows = []
    for method in methods(measured):
        if at(measured, "samples", method, "needed_100") is None:
            continue
        cells = [_needed(measured, method, level) for level in ("95", "99", "100")]
        rows.append([METHODS[method], *cells, str(NEEDED[method])])
    columns = ["method", "95 %", "99 %", "100 %", "100 %, published"]
    if not rows:
        return None
    return Table(
        "Training pairs needed: the least size at which a draw’s test pairs are right, median over "
        "draws, and how many draws got there; “more than” where at most half did up to the "
        f"largest size (censored). Published: RoBERTa-large, {PAPER}",
        columns,
        rows,
        columns[1:],
    )


def _needed(measured: Measured, method: str, level: str) -> str:
    median, reached = (
        at(measured, "samples", method, f"{what}_{level}") for what in ("needed", "reached")
    )
    assert median is not None
    assert reached is not None
    assert reached.value is not None
    draws = f"{round(reached.value * reached.n)} of {reached.n}"
    if median.value is None:
        return f"more than {sample_sizes(measured, method)[-1]} ({draws})"
    return f"{median.value:g} ({draws})"


def new_label(measured: Measured) -> Table | None:
    rows = []
    for method in methods(measured):
        for taught, said in (
            ("remembered", "given afterwards, not trained on"),
            ("together", "trained on with the others"),
        ):
            found = [
                at(measured, "new_label", method, taught, what)
                for what in ("neutral", "rest", "balanced")
            ]
            if all(found):
                rows.append([METHODS[method], said, *(without_unit(one) for one in found if one)])
    columns = ["method", "a third label", "found", "other two", "mean of the three"]
    if not rows:
        return None
    return Table(
        "A new label without retraining [%]: trained on two labels, then given pairs of a third "
        "(hypotheses about another entity: neutral). The mean’s chance is 33.3",
        columns,
        rows,
        columns[2:],
    )


def own(measured: Measured) -> Table | None:
    rows = []
    for distance, said in {"cosine": "cosine", **DISTANCES}.items():
        found = [at(measured, "own", distance, what) for what in ("gaussian", "embeddings")]
        if all(found):
            rows.append([said, *(_points(one) for one in found if one)])
    columns = ["distance", "Gaussian vectors", "the encoder’s embeddings"]
    if not rows:
        return None
    return Table(
        "How symmetric the distance itself is: correlation of d(h∘l, p) with d(p∘l, h) over pairs "
        "at one random label l, mean over labels; vectors at unit length, as the methods use them. "
        "Swapping premise and hypothesis leaves the product sum of h, l and p as it is: of the "
        "cosine form only the norms ‖h∘l‖ and ‖p∘l‖ change; of the L2 form the squared norms "
        "stand in the sum themselves. A rotation is turned back: it is symmetric exactly where "
        "its square is one, and a random one is not. The more alike an encoder’s embeddings are, "
        "the more symmetric every form is on them",
        columns,
        rows,
        columns[1:],
    )


def forgetting(measured: Measured) -> Table | None:
    """Of every method of the main table, and what was published."""
    rows = []
    for method in methods(measured):
        found = [at(measured, "forgetting", method, *where) for where in FORGOTTEN]
        if all(found):
            rows.append(
                [METHODS[method], *(_points(one) for one in found if one), f"{PUBLISHED[method]:g}"]
            )
    columns = ["method", *FORGOTTEN.values(), "lost of MNLI, published"]
    if not rows:
        return None
    return Table(
        "Forgetting: sentences that have nothing to do with the relations, read right [%] and "
        "points lost. A head for entailment is fitted on the encoder as it came and kept (as "
        "published), or fitted anew after retraining; the encoder reads the two sentences apart, "
        "or together as (c) and (d) do. Similarity: rank correlation of the cosine with how alike "
        f"sentences are made. Published: of RoBERTa-large and MNLI, {PAPER}",
        columns,
        rows,
        columns[1:],
    )


def _points(estimate: Estimate) -> str:
    if estimate.unit == "fraction":
        return without_unit(estimate)
    digits = 3 if estimate.unit == "correlation" else 1
    value, low, high = (number(v, digits) for v in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]" if low and high else value
