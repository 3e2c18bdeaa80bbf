"""Which rows of a published file belong to one fact, and the name that they share.

The published files give no ids: row i of a file belongs to fact i // k, where k, the number of
templates, is to be found. All rows of a fact share its name, and row j of every fact has the
same words around it.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from math import gcd

from interp_rc.facts.published_rows import Rows
from interp_rc.records.errors import DataError

MOST_WORDS = 30  # of a name
WORD = re.compile(r"\w+(?:[-'’.]\w+)*")


def find_words(text: str, words: str) -> int:
    """Where `words` stand in `text`, cut at no word; -1 if nowhere."""
    found = re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text)
    return found.start() if found else -1


def names_of(parts: Sequence[Rows]) -> list[str]:
    """The names of the facts of one group, given its files (or halves of them) in one order each.

    The number of facts is the largest that divides all parts so that the rows of a fact share a
    name, names differ, and the words around them are the same for most facts.
    Raises DataError at the row that breaks the division.
    """
    names = _divide(parts)
    if names:
        return names
    for file in dict.fromkeys(rows[0].file for rows in parts):
        names = _divide([rows for rows in parts if rows[0].file != file])
        if names:
            raise _misfit([rows for rows in parts if rows[0].file == file], names)
    counts = ", ".join(f"{len(rows)} in {rows[0].file.name}" for rows in parts)
    raise DataError(
        f"rows ({counts}) do not divide into facts whose rows share a name; "
        "restore the rows that are missing",
        file=parts[0][0].file,
        line=parts[0][-1].line,
    )


def _misfit(parts: Sequence[Rows], names: Sequence[str]) -> DataError:
    """The first row of a file that does not hold the name that its place calls for."""
    for rows in parts:
        count = max(1, round(len(rows) / len(names)))
        for index, row in enumerate(rows):
            name = names[min(index // count, len(names) - 1)]
            if find_words(row.name_side, name) < 0:
                message = (
                    f"the name {name!r} is not found: row {index + 1} of {len(rows)}, which must "
                    f"divide into {len(names)} facts, {count} rows each; restore or remove rows "
                    "before this one, or correct the name"
                )
                return DataError(message, file=row.file, line=row.line)
    message = (
        f"the file ends here: its rows do not divide into {len(names)} facts; restore the rows "
        "that are missing"
    )
    return DataError(message, file=parts[-1][-1].file, line=parts[-1][-1].line)


def _divide(parts: Sequence[Rows]) -> list[str]:
    """The names at the largest number of facts that fits, or none."""
    most = gcd(*map(len, parts))
    for facts in range(most, 0, -1):
        if most % facts == 0:
            names = _shared_names(parts, facts)
            if len(names) == facts == len(set(names)) and _same_wording(parts, names):
                return names
    return []


def blocks(rows: Rows, facts: int) -> Iterator[Rows]:
    """The rows of each fact."""
    count = len(rows) // facts
    return (rows[start : start + count] for start in range(0, facts * count, count))


def _shared_names(parts: Sequence[Rows], facts: int) -> list[str]:
    """The longest run of words in all rows of each fact, up to the first fact that has none."""
    names = []
    for told in zip(*(blocks(rows, facts) for rows in parts), strict=True):
        name = _longest_run([row.name_side for rows in told for row in rows])
        if not name:
            break
        names.append(name)
    return names


def _longest_run(texts: Sequence[str]) -> str:
    shortest = min(texts, key=len)
    words = [match.span() for match in WORD.finditer(shortest)]
    for count in range(min(len(words), MOST_WORDS), 0, -1):
        for first in range(len(words) - count + 1):
            run = shortest[words[first][0] : words[first + count - 1][1]]
            if all(find_words(text, run) >= 0 for text in texts):
                return run
    return ""


def _same_wording(parts: Sequence[Rows], names: Sequence[str]) -> bool:
    """Whether more than half of the facts agree on the words around the name, row for row."""
    for rows in parts:
        around = [
            [row.name_side.replace(name, "{name}") for row in block]
            for block, name in zip(blocks(rows, len(names)), names, strict=True)
        ]
        for column in zip(*around, strict=True):
            if 2 * Counter(column).most_common(1)[0][1] <= len(names):
                return False
    return True
