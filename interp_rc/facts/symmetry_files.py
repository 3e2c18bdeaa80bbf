"""The benchmark as files of any length, written pair by pair."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from interp_rc.facts.folder import HEADER, refuse_other_files
from interp_rc.facts.symmetry_pairs import symmetry_pairs
from interp_rc.records.files import replacing_folder, write_jsonl, write_yaml
from interp_rc.records.nouns import EntityForm, LabelSet, Pair, Split

FILES: dict[Split, str] = {"train": "train.jsonl", "test": "test.jsonl"}
NAMES = [field.name for field in fields(Pair)]


def write_symmetry(
    folder: Path,
    seed: int,
    *,
    count: int,
    test: int,
    label_set: LabelSet,
    entities: EntityForm,
    held_out: bool = False,
    report: Callable[[Iterable[Pair], int], Iterable[Pair]] = lambda pairs, _: pairs,
) -> None:
    """`count` pairs to train.jsonl and `test` to test.jsonl, one JSON object a line, and a header.

    `held_out`: the test's in held-out wordings. `report` is given the pairs of each file and their
    number, and hands them on. Writes all files or none; in memory is one pair at a time, and 100
    bytes for each entity. Raises DataError if the folder holds anything else, and as
    `symmetry_pairs` does.
    """
    refuse_other_files(folder, [HEADER, *FILES.values()])
    header: dict[str, Any] = {
        "schema": 1,
        "seed": seed,
        "label_set": label_set,
        "entities": entities,
        "train": count,
        "test": test,
        "test_held_out": held_out,
    }
    with replacing_folder(folder) as temporary:
        write_yaml(temporary / HEADER, header)
        for split, file in FILES.items():
            number = count if split == "train" else test
            pairs = symmetry_pairs(
                seed,
                number,
                label_set=label_set,
                entities=entities,
                split=split,
                held_out=held_out and split == "test",
            )
            write_jsonl(temporary / file, _rows(report(pairs, number)))


def _rows(pairs: Iterable[Pair]) -> Iterator[dict[str, Any]]:
    return ({name: getattr(pair, name) for name in NAMES} for pair in pairs)
