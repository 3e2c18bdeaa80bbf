"""The tables of the page's section on symmetric and antisymmetric relations."""

from interp_rc.display.section import Table
from interp_rc.display.wording import number, without_unit
from interp_rc.facts.relations import relations
from interp_rc.measures.symmetry.forgetting_numbers import PUBLISHED
from interp_rc.measures.symmetry.words import (
    DISTANCES,
    LEFT_OUT,
    METHODS,
    NAMES,
    NEEDED,
    OTHERS,
    PAPER,
    SHORTCUTS,
    by_size,
    methods,
)
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured

SAMPLES = {"part": "samples"}
Columns = dict[str, dict[str, str]]
"""Names, and what the numbers are of, besides the method and when."""
IDS = {"entities": "ids"}
TWO: Columns = {
    "names": NAMES | {"role": "same"},
    "all draws, most pairs": SAMPLES,
    "ids": NAMES | IDS | {"role": "same"},
    "other wordings": NAMES | {"role": "held_out"},
    "asked with ids": NAMES | {"role": "other_entities"},
    "another entity: the class’s answer": NAMES | {"role": "wrong_entity"},
    "both others: the class’s": NAMES | {"role": "shuffled"},
    "relations left out, names": LEFT_OUT,
    "relations left out, ids": LEFT_OUT | IDS,
}
FORMS = NAMES | {"label_set": "three_labels", "role": "same"}
THREE: Columns = {
    "names": FORMS,
    "swapped": FORMS | {"form": "swapped"},
    "unswapped": FORMS | {"form": "unswapped"},
    "wrong entity": FORMS | {"form": "wrong_entity"},
    "asked with ids": FORMS | {"role": "other_entities"},
    "other wordings": FORMS | {"role": "held_out"},
}
FORGOTTEN: Columns = {
    "apart, before": {"reading": "sentences", "when": "before", "quantity": "accuracy"},
    "lost, head kept": {"reading": "sentences", "when": "kept", "quantity": "lost"},
    "lost, fitted anew": {"reading": "sentences", "when": "refitted", "quantity": "lost"},
    "together, before": {"reading": "together", "when": "before", "quantity": "accuracy"},
    "together: lost, head kept": {"reading": "together", "when": "kept", "quantity": "lost"},
    "together: lost, fitted anew": {"reading": "together", "when": "refitted", "quantity": "lost"},
    "similarity, before": {"reading": "similarity", "when": "before"},
    "similarity, after": {"reading": "similarity", "when": "after"},
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
    names = [
        name
        for name, of in columns.items()
        if any(_cell(measured, of, method, "after") for method in methods(measured))
    ]
    for variant, label in (METHODS | OTHERS | SHORTCUTS).items():
        for when, said in (("before", "as it came"), ("after", "retrained")):
            found = [_cell(measured, columns[name], variant, when) for name in names]
            if any(found):
                name = label if variant in SHORTCUTS else f"{label}, {said}"
                rows.append([name, *("" if one is None else without_unit(one) for one in found)])
    return Table(caption, ["method", *names], rows, names) if rows else None


def _cell(measured: Measured, of: dict[str, str], variant: str, when: str) -> Estimate | None:
    if of is not SAMPLES:
        return measured.estimates.find(**of, method=variant, when=when)
    found = by_size(measured, variant)
    return found[max(found)] if found and when == "after" else None


def by_relation(measured: Measured) -> Table | None:
    """Each relation that was left out, two labels and names, after retraining on the others."""
    columns = [(m, e) for e in ("names", "ids") for m in [*methods(measured), "relation_only"]]
    found = {
        (relation, method, entities): one
        for relation in relations()
        for method, entities in columns
        if (
            one := measured.estimates.find(
                **(LEFT_OUT | {"entities": entities}),
                method=method,
                relation=relation,
                when="after",
            )
        )
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
        if not measured.estimates.find(**SAMPLES, method=method, quantity="needed_100"):
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
        measured.estimates.of(**SAMPLES, method=method, quantity=f"{what}_{level}")
        for what in ("needed", "reached")
    )
    draws = f"{round((reached.value or 0) * reached.n)} of {reached.n}"
    if median.value is None:
        return f"more than {max(by_size(measured, method))} ({draws})"
    return f"{median.value:g} ({draws})"


def new_label(measured: Measured) -> Table | None:
    rows = []
    for method in methods(measured):
        for taught, said in (
            ("remembered", "given afterwards, not trained on"),
            ("together", "trained on with the others"),
        ):
            of = {"part": "new_label", "method": method, "edit": taught}
            found = [
                measured.estimates.find(**of, quantity=quantity)
                for quantity in ("neutral", "rest", "balanced")
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
        found = [
            measured.estimates.find(part="own", method=distance, reading=reading)
            for reading in ("gaussian", "embeddings")
        ]
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
        found = [
            measured.estimates.find(part="forgetting", method=method, **of)
            for of in FORGOTTEN.values()
        ]
        if all(found):
            rows.append(
                [METHODS[method], *(_points(one) for one in found if one), f"{PUBLISHED[method]:g}"]
            )
    columns = ["method", *FORGOTTEN, "lost of MNLI, published"]
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
