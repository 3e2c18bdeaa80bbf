"""Children and their parents, from a list of pairs (Experiment 2 of the Reversal Curse paper)."""

from pathlib import Path

from interp_rc.facts.factset import FATHER, MOTHER, FactSet
from interp_rc.facts.parent_tables import PAIR, Refused, column_check, pair_of
from interp_rc.facts.validate import validate
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Fact
from interp_rc.records.packaged import packaged
from interp_rc.records.tables import read_csv_rows


def our_pairs() -> Path:
    """This project's own list: well-known people, each with both parents."""
    return packaged("data") / "parents" / "pairs.csv"


def parents(path: Path | None = None) -> FactSet:
    """A fact a pair: the child is the subject, the parent the object; None: our own list.

    A question about the child (for the parent) is `forward`. Columns child, parent and parent_type
    are read, pairs that come again are left out, and nothing is told or asked in templates.
    Raises DataError where `read_parent_table` would refuse a file or even one of its rows: what is
    asked by mistake is paid for.
    """
    path = path or our_pairs()
    lines = read_csv_rows(path)
    _, header = next(lines, (1, []))
    column_check(path, header)
    pairs: dict[tuple[str, str, str], None] = {}
    refused: list[Refused] = []
    for number, cells in lines:
        found = pair_of(cells, header, number)
        if isinstance(found, Refused):
            refused.append(found)
        else:
            pairs.setdefault(found)
    if refused:
        more = f" ({len(refused)} such rows in all)" if len(refused) > 1 else ""
        raise DataError(f"{refused[0].reason}{more}; correct it", file=path, line=refused[0].line)
    if not pairs:
        raise DataError(f"holds no pair; give a row each under {', '.join(PAIR)}", file=path)
    facts = FactSet(
        facts=[
            Fact(f"parents.{number}", child, parent_type, parent, "parents")
            for number, (child, parent, parent_type) in enumerate(pairs)
        ],
        relations=[MOTHER, FATHER],
        templates=[],
        documents=[],
        queries=[],
    )
    validate(facts)
    return facts
