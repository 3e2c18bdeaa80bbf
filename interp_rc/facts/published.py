"""The published layout of Experiment 1 (Berglund et al. 2023, arXiv:2309.12288): in and out.

Files of {"prompt", "completion"} without ids. `p2d` is told name first, `d2p` description first,
`both` in both orders, with the name-first half of a file first.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from interp_rc.facts.factset import DESCRIBED_AS, FactSet
from interp_rc.facts.folder import refuse_other_files
from interp_rc.facts.people import Form
from interp_rc.facts.published_names import blocks, names_of
from interp_rc.facts.published_rows import LAYOUT, Part, Row, read_parts
from interp_rc.facts.published_wording import Cell, Column, FactKey, recover
from interp_rc.facts.templates import Role, Template, packaged_templates
from interp_rc.facts.validate import Place, validate
from interp_rc.records.errors import DataError
from interp_rc.records.files import replacing_folder, write_jsonl
from interp_rc.records.nouns import (
    ORDERS,
    TRAINED,
    Document,
    Fact,
    Group,
    Order,
    Query,
    Seen,
    Span,
    Spans,
    direction_of,
)
from interp_rc.records.seeds import generator

TRAINING = ("p2d_prompts_train", "d2p_prompts_train", "both_prompts_train")
RANDOMIZED = ("p2d_reverse_prompts_test", "d2p_reverse_prompts_test")


def import_published(folder: Path, *, seen: Literal["elsewhere", "nowhere"]) -> FactSet:
    """The facts, documents and queries of a folder in the published layout.

    Texts, prompts and targets are kept as published, also where the wording of a row is not that
    of its template, and where a target has a tail: the backward targets of `both_prompts_test`
    go on after the name ("… has found their calling."), so an exact match asks for the tail too.
    A completion that begins before the description (" being the founder of …") gets a third
    span, `completion`. Row j of a fact is taken to be in template j in every group. Derived
    files are not read.

    `seen` says where a base model meets the held-out templates: elsewhere, when its corpus may
    use all templates of the set, or nowhere, when it may use only `packaged_templates`.
    Raises DataError, naming file and line, for rows that cannot be read or do not divide into
    facts, and for whatever `validate` finds.
    """
    parts = read_parts(folder)
    names: dict[FactKey, str] = {}
    for group in TRAINED:
        found = names_of([part.rows for part in parts if part.group == group])
        names |= {FactKey(group, index): name for index, name in enumerate(found)}
    cells = _cells(parts, names)
    said = recover(cells, names)
    templates = _templates(said.templates, in_base=seen == "elsewhere")
    told = [cell for cell in cells if cell.column.role == "training"]
    asked = [cell for cell in cells if cell.column.role == "held_out"]
    facts = FactSet(
        facts=[
            Fact(key.id, name, DESCRIBED_AS.name, said.nouns[key], key.group)
            for key, name in names.items()
        ],
        relations=[DESCRIBED_AS],
        templates=[*templates.values(), *(packaged_templates() if seen == "nowhere" else [])],
        documents=_documents(told, templates, said.spans),
        queries=_queries(asked, templates, said.spans, seen),
    )
    first = {cell.fact: _place(cell) for cell in reversed(cells)}
    places = {
        "facts": [first[key] for key in names],
        "documents": [_place(cell) for cell in told],
        "queries": [_place(cell) for cell in asked],
    }
    validate(facts, places)
    return facts


def _place(cell: Cell) -> Place:
    return Place(cell.row.file, cell.row.line)


def _cells(parts: Sequence[Part], names: Mapping[FactKey, str]) -> list[Cell]:
    """Every row with its fact and template; DataError unless all groups have as many templates."""
    cells = []
    counts: dict[tuple[Order, Role], tuple[int, Row]] = {}
    for part in parts:
        facts = sum(key.group == part.group for key in names)
        count, last = len(part.rows) // facts, part.rows[-1]
        expected, other = counts.setdefault((part.order, part.role), (count, last))
        if count != expected:
            message = (
                f"{facts} facts have {count} rows each, but in {other.file.name} {expected}; "
                "give every group the same templates"
            )
            raise DataError(message, file=last.file, line=last.line)
        cells += [
            Cell(FactKey(part.group, index), Column(part.order, part.role, template), row)
            for index, block in enumerate(blocks(part.rows, facts))
            for template, row in enumerate(block)
        ]
    return cells


def _templates(
    found: Mapping[Column, tuple[str, Form]], *, in_base: bool
) -> dict[Column, Template]:
    """Numbered within each order, those for training first."""
    templates = {}
    for order in ORDERS:
        columns = [column for column in found if column.order == order]
        columns.sort(key=lambda column: (column.role != "training", column.number))
        for number, column in enumerate(columns):
            text, form = found[column]
            id = f"published.{order}.{number}"
            templates[column] = Template(id, order, text, form, column.role, in_base)
    return templates


def _documents(
    cells: Sequence[Cell], templates: Mapping[Column, Template], spans: Mapping[Row, Spans]
) -> list[Document]:
    documents = []
    for cell in cells:
        template, text, prompt_end = templates[cell.column], cell.row.text, len(cell.row.prompt)
        id, where = f"{cell.fact.id}/{template.id}", spans[cell.row]
        document = Document(id, cell.fact.id, template.order, template.id, text, where)
        if len(document.prompt) != prompt_end:
            where = where | {"completion": [Span(prompt_end, len(text))]}
            document = replace(document, spans=where)
        documents.append(document)
    return documents


def _queries(
    cells: Sequence[Cell],
    templates: Mapping[Column, Template],
    spans: Mapping[Row, Spans],
    seen: Seen,
) -> list[Query]:
    candidates: dict[tuple[Group, Column], list[str]] = defaultdict(list)
    for cell in cells:
        candidates[cell.fact.group, cell.column].append(cell.row.completion)
    return [
        Query(
            id=f"{cell.fact.id}/{templates[cell.column].id}",
            fact=cell.fact.id,
            group=cell.fact.group,
            order=cell.row.order,
            direction=direction_of(cell.fact.group, cell.row.order),
            template=templates[cell.column].id,
            seen=seen,
            prompt=cell.row.prompt,
            target=cell.row.completion,
            candidates=candidates[cell.fact.group, cell.column],
            spans=spans[cell.row],
        )
        for cell in cells
    ]


def export_published(facts: FactSet, folder: Path) -> None:
    """Write the published layout, the whole folder or nothing; an older one is replaced.

    A completion is what follows the prompt: the rest of a document's text, a query's target.
    Derived from the other files are `all` and `all_prompts_train` (all training rows),
    `unrealized_examples` (name-to-description facts asked backward), `validation_prompts` (the
    same with the first word of the answer) and the `_randomized` files. Those have the answer of
    another fact, drawn with a fixed seed, after each prompt; the published ones were drawn
    otherwise and hold some right answers by chance.
    Raises DataError if the layout, which has no ids, cannot hold the facts, or if the folder
    holds other files.
    """
    grid = _grid(facts)
    files: dict[str, list[_Prompted]] = {
        name: [row for order in orders for row in grid[group, role, order]]
        for name, (group, role, orders) in LAYOUT.items()
    }
    training = [row for name in TRAINING for row in files[name]]
    reverse = files["p2d_reverse_prompts_test"]
    randomized = {f"{name}_randomized": _randomized(facts, name) for name in RANDOMIZED}
    files |= {
        "all": training,
        "all_prompts_train": training,
        "unrealized_examples": reverse,
        "validation_prompts": [(prompt, answer.split()[0]) for prompt, answer in reverse],
    }
    refuse_other_files(folder, [f"{name}.jsonl" for name in (*files, *randomized)])
    with replacing_folder(folder) as temporary:
        for name, rows in (files | randomized).items():
            written = [{"prompt": prompt, "completion": answer} for prompt, answer in rows]
            if written:
                write_jsonl(temporary / f"{name}.jsonl", written)


_Prompted = tuple[str, str]
_Grid = dict[tuple[Group, Role, Order], list[_Prompted]]


def _grid(facts: FactSet) -> _Grid:
    """The rows of each part of the layout, fact by fact and template by template.

    Raises DataError unless every fact is told, or asked, once in each template of its part, and
    these are the same in every group.
    """
    fact_at = {fact.id: index for index, fact in enumerate(facts.facts)}
    template_at = {template.id: index for index, template in enumerate(facts.templates)}
    placed: dict[tuple[Group, Role, Order], list[tuple[int, int, _Prompted]]] = defaultdict(list)
    for told in facts.documents:
        if told.order is None:
            raise DataError(
                f"document {told.id} tells its fact in both orders, and a row of the published "
                "layout in one; tell them in separate documents"
            )
        fact, prompt = fact_at[told.fact], told.prompt
        row = (fact, template_at[told.template], (prompt, told.text[len(prompt) :]))
        placed[facts.facts[fact].group, "training", told.order].append(row)
    for asked in facts.queries:
        row = (fact_at[asked.fact], template_at[asked.template], (asked.prompt, asked.target))
        placed[asked.group, "held_out", asked.order].append(row)

    grid: _Grid = {}
    templates: dict[tuple[Role, Order], list[int]] = {}
    for group, role, orders in LAYOUT.values():
        members = [fact_at[fact.id] for fact in facts.facts if fact.group == group]
        for order in orders:
            rows = sorted(placed.pop((group, role, order), []))
            used = templates.setdefault((role, order), sorted({row[1] for row in rows}))
            if not rows or [row[:2] for row in rows] != [(f, t) for f in members for t in used]:
                raise DataError(
                    f"{group} facts are not all {'told' if role == 'training' else 'asked'} "
                    f"{order} once in each of the {len(used)} {role} templates, as the published "
                    "layout needs; build the facts with the same templates for all"
                )
            grid[group, role, order] = [row[2] for row in rows]
    if placed:
        group, role, order = next(iter(placed))
        message = f"the published layout has no place for {role} {order} rows of {group} facts"
        raise DataError(f"{message}; remove them")
    return grid


def _randomized(facts: FactSet, name: str) -> list[_Prompted]:
    """The prompts of a file with wrong answers; none if there is only one fact."""
    group, _, (order,) = LAYOUT[name]
    draw = generator(0, "randomized", name)
    fact_at = {fact.id: index for index, fact in enumerate(facts.facts)}
    template_at = {template.id: index for index, template in enumerate(facts.templates)}
    asked = [query for query in facts.queries if (query.group, query.order) == (group, order)]
    asked.sort(key=lambda query: (fact_at[query.fact], template_at[query.template]))
    return [
        (query.prompt, draw.choice([c for c in query.candidates if c != query.target]))
        for query in asked
        if len(query.candidates) > 1
    ]
