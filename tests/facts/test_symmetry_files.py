"""Files of any length, whole or not at all, in little memory."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from interp_rc.facts import symmetry_files
from interp_rc.facts.items import read_items
from interp_rc.facts.symmetry_files import write_symmetry
from interp_rc.facts.symmetry_pairs import symmetry_pairs
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Pair

# The command's own process says what it took: peak resident memory, in KiB. Not by getrusage, whose
# peak a process inherits from the one that started it.
MEASURED = """
import sys
from pathlib import Path
from interp_rc.cli import main
sys.argv = ["interp-rc", "facts", "symmetry", *sys.argv[1:]]
try:
    main()
except SystemExit as done:
    assert not done.code, done.code
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""


LINUX = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs Linux's /proc")


def measured(folder, count, test):
    """Peak resident memory in GiB of the command that writes so many pairs."""
    arguments = ["--count", str(count), "--test", str(test), "--out", str(folder)]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[-1]) / 2**20


def sound(folder, count, test):
    """Counts and disjoint entities, read line by line."""
    entities = {}
    for split, number in (("train", count), ("test", test)):
        entities[split], labels, ids = set(), Counter(), set()
        with (folder / f"{split}.jsonl").open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                labels[row["label"]] += 1
                ids.add(hash(row["id"]))
                for name in ("subject", "object"):
                    (span,) = row["spans"][f"premise.{name}"]
                    entities[split].add(row["premise"][slice(*span)])
        assert sum(labels.values()) == len(ids) == number
        assert max(labels.values()) - min(labels.values()) <= 1
        assert len(entities[split]) == 2 * number
    assert not entities["train"] & entities["test"]


def test_files_hold_the_streams(tmp_path):
    folder = tmp_path / "written"
    write_symmetry(
        folder, 4, count=30, test=12, label_set="two_labels", entities="ids", held_out=True
    )
    for split, count, held_out in (("train", 30, False), ("test", 12, True)):
        stream = symmetry_pairs(
            4, count, label_set="two_labels", entities="ids", split=split, held_out=held_out
        )
        path = folder / f"{split}.jsonl"
        assert [pair for pair, _ in read_items(path, Pair)] == list(stream)
    header = yaml.safe_load((folder / "header.yaml").read_text())
    assert (header["seed"], header["train"], header["test"]) == (4, 30, 12)


def test_all_or_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "written"
    options = {"label_set": "three_labels", "entities": "names"}
    write_symmetry(folder, 0, count=5, test=5, **options)
    before = (folder / "train.jsonl").read_bytes()

    def broken(*given, split, **options):
        yield from symmetry_pairs(*given, split=split, **options)
        if split == "test":
            raise DataError("the names are used up")

    monkeypatch.setattr(symmetry_files, "symmetry_pairs", broken)
    with pytest.raises(DataError, match="used up"):
        write_symmetry(folder, 1, count=9, test=9, **options)
    assert (folder / "train.jsonl").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["written"]
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"notes\.txt"):
        write_symmetry(folder, 0, count=5, test=5, **options)


@LINUX
def test_a_few_thousand_from_the_command_line(tmp_path):
    assert measured(tmp_path / "out", 3000, 600) < 1
    sound(tmp_path / "out", 3000, 600)


@LINUX
@pytest.mark.slow
def test_400_000_pairs_stay_below_a_gibibyte(tmp_path):
    assert measured(tmp_path / "out", 400_000, 20_000) < 1
    sound(tmp_path / "out", 400_000, 20_000)
