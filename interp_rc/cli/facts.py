"""Commands on sets of facts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from interp_rc.cli.options import (
    EntitiesOption,
    FactsFolder,
    LabelSetOption,
    Out,
    Seen,
    SeenOption,
    say,
)
from interp_rc.records.limits import MOST_COUNT, MOST_SEED

if TYPE_CHECKING:
    from interp_rc.facts.factset import FactSet

facts_app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Build, show, check, import and export fact sets.",
)


def _counted(facts: "FactSet") -> str:
    pairs = f", {len(facts.pairs)} pairs" if facts.pairs else ""
    return (
        f"{len(facts.facts)} facts, {len(facts.documents)} documents, "
        f"{len(facts.queries)} queries{pairs}"
    )


@facts_app.command("build")
def facts_build(
    out: Out,
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, help="Draws people and templates.")
    ] = 0,
    per_group: Annotated[
        int, typer.Option(min=2, max=MOST_COUNT, help="Facts in each of three groups.")
    ] = 30,
    training_templates: Annotated[int, typer.Option(min=1, max=MOST_COUNT, help="Per order.")] = 30,
    held_out_templates: Annotated[int, typer.Option(min=1, max=MOST_COUNT, help="Per order.")] = 10,
    held_out_seen: Seen = SeenOption.elsewhere,
) -> None:
    """Invent people and write their facts, documents and queries.

    Example, 40,000 documents: interp-rc facts build --per-group 250 --training-templates 40
    --out facts40k
    """
    from interp_rc.facts.folder import write_facts
    from interp_rc.facts.options import People

    chosen = People(
        per_group=per_group,
        training_templates=training_templates,
        held_out_templates=held_out_templates,
        held_out_seen=held_out_seen.value,
    )
    built = chosen.build(seed)
    write_facts(built, out)
    say(f"{_counted(built)} in {out}")


@facts_app.command("show")
def facts_show(
    facts: FactsFolder,
    examples: Annotated[
        int, typer.Option(min=0, max=MOST_COUNT, help="How many examples of each kind.")
    ] = 1,
) -> None:
    """Count what a fact set holds and show examples.

    Example: interp-rc facts show runs/demo/facts --examples 3
    """
    from interp_rc.facts.describe import examples as examples_of
    from interp_rc.facts.describe import summary
    from interp_rc.facts.describe_pairs import pair_examples, pair_summary
    from interp_rc.facts.folder import read_facts

    read = read_facts(facts)
    shown = []
    if read.facts or not read.pairs:
        shown.append((summary(read), examples_of(read, examples)))
    if read.pairs:
        shown.append((pair_summary(read.pairs), pair_examples(read.pairs, examples)))
    for counts, _ in shown:
        print(counts.to_string(index=False))
    for _, rows in shown:
        for row in rows.to_dict("records"):
            width = max(len(str(key)) for key in row)
            print("\n" + "\n".join(f"{key:>{width}}  {value}" for key, value in row.items()))


@facts_app.command("validate")
def facts_validate(facts: FactsFolder) -> None:
    """Check a facts folder, or a folder in the published layout; the first fault is named.

    Example: interp-rc facts validate my_facts
    """
    from interp_rc.pipeline.experiments import read_any_facts

    read = read_any_facts(facts, "nowhere")
    say(f"{facts} is sound: {_counted(read)}")


@facts_app.command("import")
def facts_import(
    folder: Annotated[
        Path, typer.Argument(help="A folder in the published layout, or the symmetry table.")
    ],
    out: Out,
    seen: Seen = SeenOption.nowhere,
    skip_faults: Annotated[
        bool, typer.Option("--skip-faults", help="Leave faulty rows of a symmetry table out.")
    ] = False,
) -> None:
    """Read the layout published with the Reversal Curse paper; recover facts and templates.

    Of the published symmetry data (a table of tab-separated values), recover entities and make
    pairs of each label set and entity form.

    Example: interp-rc facts import experiment1 --out published
    """
    from interp_rc.facts.folder import write_facts
    from interp_rc.pipeline.experiments import import_any

    read = import_any(folder, seen.value, skip_faults=skip_faults, say=say)
    write_facts(read, out)
    say(f"{_counted(read)} in {out}")


@facts_app.command("export")
def facts_export(facts: FactsFolder, out: Out) -> None:
    """Write a facts folder in the published layout (prompt and completion).

    Example: interp-rc facts export runs/demo/facts --out published_layout
    """
    from interp_rc.facts.folder import read_facts
    from interp_rc.facts.published import export_published

    export_published(read_facts(facts), out)
    say(f"published layout in {out}")


@facts_app.command("contrasts")
def facts_contrasts(
    facts: FactsFolder,
    out: Annotated[Path, typer.Option("--out", help="The file to write.", metavar="JSONL")],
    templates: Annotated[
        int, typer.Option(min=1, max=MOST_COUNT, help="Held-out templates per order.")
    ] = 2,
) -> None:
    """Write contrasts: each fact against another of its group in the same held-out template.

    Example: interp-rc facts contrasts runs/demo/facts --out contrasts.jsonl
    """
    from interp_rc.facts.contrasts import held_out_contrasts, write_contrasts
    from interp_rc.facts.folder import read_facts

    contrasts = held_out_contrasts(read_facts(facts), templates)
    write_contrasts(contrasts, out)
    say(f"{len(contrasts)} contrasts in {out}")


@facts_app.command("symmetry")
def facts_symmetry(
    out: Out,
    count: Annotated[int, typer.Option(min=0, max=MOST_COUNT, help="Pairs to train on.")] = 1000,
    test: Annotated[int, typer.Option(min=0, max=MOST_COUNT, help="Pairs to test on.")] = 300,
    label_set: Annotated[
        LabelSetOption, typer.Option(help="Swapped pairs alone, or all forms.")
    ] = LabelSetOption.three_labels,
    entities: Annotated[
        EntitiesOption, typer.Option(help="Invented names, or ids.")
    ] = EntitiesOption.names,
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, help="Draws entities and wordings.")
    ] = 0,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Test in wordings that no training pair is in.")
    ] = False,
) -> None:
    """Write pairs that ask whether a relation holds the other way round, of any number.

    Example: interp-rc facts symmetry --count 400000 --test 100000 --out symmetry
    """
    from tqdm import tqdm

    from interp_rc.facts.symmetry_files import write_symmetry

    write_symmetry(
        out,
        seed,
        count=count,
        test=test,
        label_set=label_set.value,
        entities=entities.value,
        held_out=held_out,
        report=lambda pairs, total: tqdm(pairs, total=total, desc="pairs", disable=None),
    )
    say(f"{count} pairs to train on and {test} to test on in {out}")
