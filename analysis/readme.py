"""The README, from its template and the committed tables: python -m analysis.readme

Every number that was measured comes from a table, and a sentence that a table could deny stands
behind a `holds` in the template: when the table changes so that it no longer does, no README is
made, and the sentence has to be written anew.
"""

import re
import textwrap
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from analysis import markdown, markdown_symmetry, markdown_tools, markdown_weights
from analysis.descriptions import TABLES
from analysis.markdown import estimate
from analysis.old_names import read_table
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_text
from interp_rc.records.nouns import TOLD_ONLY, TOLD_OTHERWISE

HERE = Path(__file__).resolve().parent
TEMPLATE = HERE / "readme.md.j2"
README = HERE.parent / "README.md"
WIDTH = 110
TIED = "\0"
"""Stands for a space that no line may end in, while lines are filled."""


@cache
def rows(table: str) -> pd.DataFrame:
    """A committed table, by the name of its rows."""
    return read_table(TABLES / f"{table}.csv").set_index("name")


def value(table: str, name: str, times: float = 1.0, column: str = "value") -> float:
    """A number of a table."""
    return times * float(rows(table).loc[name, column])


def number(table: str, name: str, digits: int = 1, times: float = 1.0) -> str:
    """A number of a table as text."""
    return shown(value(table, name, times), digits)


def shown(number: float, digits: int = 0) -> str:
    """A number as text, with a comma in thousands; what rounds to zero has no sign."""
    return f"{round(number, digits) + 0.0:,.{digits}f}"


def interval(table: str, name: str, digits: int = 1, times: float = 1.0) -> str:
    """A number of a table with its interval."""
    one = estimate(rows(table).loc[name])
    ends = (end for end in (one.low, one.high) if end is not None)
    return f"{shown(times * (one.value or 0), digits)} [{among(ends, digits, times, ', ')}]"


def among(numbers: Iterable[float], digits: int = 0, times: float = 1.0, by: str = " to ") -> str:
    """The least and the greatest of some numbers."""
    every = [times * one for one in numbers]
    ends = (shown(end, digits) for end in (min(every), max(every)))
    return by.join(dict.fromkeys(ends))


def names_of(pattern: str) -> list[str]:
    """A name for each order of asking; the pattern has places for it, for the facts told in it
    (`told`) and for those told in the other one (`other`)."""
    return [
        pattern.format(order=order, told=told, other=TOLD_OTHERWISE[order])
        for order, told in TOLD_ONLY.items()
    ]


def values(table: str, pattern: str, column: str = "value") -> list[float]:
    """A number for each order of asking."""
    return [value(table, name, column=column) for name in names_of(pattern)]


def both(table: str, pattern: str, digits: int = 1, times: float = 1.0) -> str:
    """The numbers of both orders of asking: name to description, then description to name."""
    return " and ".join(number(table, name, digits, times) for name in names_of(pattern))


def both_intervals(table: str, pattern: str, digits: int = 1, times: float = 1.0) -> str:
    """The same with their intervals."""
    return " and ".join(interval(table, name, digits, times) for name in names_of(pattern))


def p(study: str, name: str) -> float:
    """The adjusted p of a preregistered test, the largest of those whose names begin so."""
    found = rows(f"{study}_tests").p_adjusted
    return float(found[found.index.str.fullmatch(name)].max())


def margin(study: str, name: str) -> str:
    """The margin of a preregistered test."""
    return shown(value(f"{study}_tests", name, column="margin"), 1)


def holds(*conditions: bool) -> str:
    """Nothing, or DataError where a table denies the sentence that this stands before."""
    if not all(conditions):
        raise DataError(
            f"{TEMPLATE.name}: a sentence says what the tables deny (condition "
            f"{conditions.index(False) + 1} of the `holds` before it); write it anew"
        )
    return ""


def alone(kind: str) -> list[float]:
    """What each module of a kind alone, put into the base, brings of what all weights bring."""
    whole = sum(values("mechanism_weights", "transplant.all.{told}.same.fact")) / 2
    start = f"transplant.given.{kind}."
    every = rows("mechanism_weights")["value"]
    return [
        float(one) / whole
        for name, one in every.items()
        if str(name).startswith(start) and str(name).endswith(".same")
    ]


def lost_at_most() -> float:
    """The greatest share of the answer's lead that is lost without one part."""
    lead = sum(values("mechanism_weights", "transplant.all.{told}.same.lead")) / 2
    every = rows("mechanism_weights")["value"]
    taken = every[every.index.str.startswith("transplant.taken.")]
    return float(-taken[taken.index.str.endswith(".same")].min() / lead)


def gain_in_reverse() -> list[float]:
    """The share of the gain over the base model that appears in reverse, of names and then of
    descriptions that are asked for: of the same targets, told as answers and told as sources."""
    return [
        value("descriptions", "gain.trained_forward.reverse")
        / value("descriptions", "gain.trained_backward.same"),
        value("descriptions", "gain.trained_backward.reverse")
        / value("descriptions", "gain.trained_forward.same"),
    ]


def listed(shares: Iterable[float]) -> str:
    """Shares in per cent, one after the other."""
    *first, last = (shown(100 * share) for share in shares)
    return f"{', '.join(first)} and {last}"


def moved() -> str:
    """How far steps of training move the entities, by the order that is told."""
    parts = []
    for order, told in TOLD_ONLY.items():
        start = f"movement.steps.{told}.step_{markdown_tools.STEPS}."
        first, second = (
            number("mechanism_tools", f"{start}{which[order]}.layer_3", 1, 100)
            for which in (markdown_tools.FIRST, markdown_tools.SECOND)
        )
        parts.append(
            f"{first} and {second} % of their norms where the {markdown_tools.FIRST[order]} is told"
            " first"
        )
    return f"They move by {', and by '.join(parts)}"


def ratios(which: str) -> str:
    """The least and the greatest share of a damage, over three methods and two orders."""
    return among(
        (
            value("mechanism_weights", name)
            for method in markdown_weights.METHODS
            for name in names_of(f"erasure.both.{{order}}.{method}.{which}")
        ),
        2,
    )


def within() -> str:
    """The least and the greatest share of the variance within a layer that locating explains."""
    names = (f"editing.located.{by}.within_variance" for by in markdown_weights.LOCATED)
    return among((value("mechanism_weights", name) for name in names), 2)


def layers_of(pattern: str) -> list[float]:
    """A number for each layer of the encoder."""
    found = rows("symmetry")["value"]
    start, _, end = pattern.partition("*")
    names = found.index.str.startswith(start) & found.index.str.endswith(end)
    return [float(one) for one in found[names]]


def untrained() -> list[float]:
    """What a probe with untrained weights is right about, layer by layer."""
    return layers_of("symmetry_where.probe.untrained.relation.layer_*.held_out")


def permuted() -> list[float]:
    """What the probe is right about with permuted labels, layer by layer."""
    return layers_of("symmetry_where.probe.pretrained.relation.layer_*.permuted")


def never_in_reverse() -> bool:
    """Whether no fact told in one order was ever said in reverse."""
    found = rows("symmetric_reversal").query("quantity == 'level'")["value"]
    reverse = found[found.index.str.fullmatch(r"exact_match\.[a-z]+\.(false_)?reverse")]
    return bool((reverse == 0).all())


def null_called() -> str:
    """How many of the places that carry nothing patching called something."""
    found = read_table(TABLES / "planted.csv")
    count = float((found.false_per_null_site * found.null_sites).sum())
    return "none" if count == 0 else shown(count)


def shots(texts: int) -> float:
    """Right among all candidates after three examples, in both orders, of a base model that read
    so many texts with reversals in context."""
    start = "in_context.base.candidate_accuracy.shots.reverse"
    return sum(
        mean_of("in_context", f"{start}.{order}.all", model__world__in_context=texts) / 2
        for order in TOLD_ONLY
    )


def verdicts() -> str:
    """How many single runs of sweeps came to which verdict about reversal, and their power."""
    every = pd.concat(read_table(file) for file in sorted(TABLES.glob("*_verdicts.csv")))
    found = every[every.hypothesis == "reverse_at_chance"]
    counts = ", ".join(f"{n} {verdict}" for verdict, n in found.verdict.value_counts().items())
    return f"{counts}, with a power of {among(found.power, 0, 100)} %"


def table1(group: str) -> str:
    """The paper's rate in the order of training with its standard error."""
    start = f"exact_match.{group}.same"
    mean, error = (
        100 * as_published("table1", f"{start}.{which}", model="davinci")
        for which in ("mean", "standard_error")
    )
    return f"{shown(mean, 1)} ± {shown(error, 1)}"


def methods(
    pattern: str, table: str = "symmetry", variants: Iterable[str] = (), column: str = "value"
) -> list[float]:
    """A number for each of the four methods (or `variants`)."""
    which = list(variants) or list(markdown_symmetry.METHODS)
    return [value(table, f"symmetry.{pattern.format(one)}", column=column) for one in which]


def mean_of(table: str, name: str, **where: object) -> float:
    """The mean over seeds of a number of a sweep."""
    every = rows(table).loc[[name]]
    for column, wanted in where.items():
        every = every[every[column.replace("__", ".")] == wanted]
    return float(every["value"].mean())


def parents(model: str, kind: str, column: str) -> float:
    """A rate [%] of all rows of a published file of answers."""
    every = read_table(TABLES / "parents.csv").query("counted == 'all' and parent_type == 'all'")
    (found,) = every[(every.model == model) & (every.kind == kind)][column]
    return float(found)


def as_published(item: str, quantity: str, **where: object) -> float:
    """A number of the paper."""
    every = read_table(HERE / "as_published" / f"{item}.csv")
    for column, wanted in {"quantity": quantity, **where}.items():
        every = every[every[column] == wanted]
    (found,) = set(every["value"])
    return float(found)


def render() -> str:
    """The README's text. Raises DataError for a sentence that its table denies."""
    environment = Environment(
        loader=FileSystemLoader(HERE), undefined=StrictUndefined, keep_trailing_newline=True
    )
    helpers = (
        value, values, number, shown, interval, among, both, both_intervals, p, margin, holds,
        alone,        lost_at_most, methods, mean_of, parents, as_published, gain_in_reverse,
        listed, moved, ratios, within, untrained, permuted, never_in_reverse, null_called, shots,
        table1, verdicts,
    )  # fmt: skip
    modules = (markdown, markdown_symmetry, markdown_tools, markdown_weights)
    tables = {
        module.__name__.rpartition(".")[2]: SimpleNamespace(**vars(module)) for module in modules
    }
    template = environment.get_template(TEMPLATE.name)
    text = template.render(
        {helper.__name__: helper for helper in helpers}, **tables, min=min, max=max,
        D="descriptions", M="mechanism", T="mechanism_tools", W="mechanism_weights", S="symmetry",
    )  # fmt: skip
    parts = zip(TEMPLATE.read_text(encoding="utf-8").split("\n\n"), text.split("\n\n"), strict=True)
    return "\n\n".join(
        _filled(made) if "{{" in source and "_table()" not in source else made
        for source, made in parts
    )


def _filled(paragraph: str) -> str:
    """Lines of even length, in a paragraph or a list."""
    lead, *items = re.split(r"^- ", paragraph, flags=re.MULTILINE)
    texts = [(lead, "", "")] * bool(lead) + [(item, "- ", "  ") for item in items]
    return "\n".join(
        textwrap.fill(
            " ".join(text.split()).replace(" %", f"{TIED}%"),
            WIDTH,
            initial_indent=first,
            subsequent_indent=then,
            break_long_words=False,
            break_on_hyphens=False,
        ).replace(TIED, " ")
        for text, first, then in texts
    )


if __name__ == "__main__":
    write_text(README, render())
    print(f"{README.name} is made of the tables in {TABLES.name}")
