"""The published table is read whole, mended where lines are broken, refused where it is wrong."""

import csv
from collections import Counter, defaultdict

import pytest

from interp_rc.facts.options import PublishedSymmetry
from interp_rc.facts.published_symmetry import is_published_symmetry, read_published_symmetry
from interp_rc.facts.published_symmetry_pairs import published_symmetry, splits
from interp_rc.facts.relations import relations
from interp_rc.facts.validate import validate
from interp_rc.facts.validate_pairs import bare, entities_of
from interp_rc.records.errors import DataError
from tests.conftest import published

HEAD = "textid\ttext\tpair\trelation\tsymmetry\tlabel\n"
SOUND = "1\tada b is a sibling of cy d\tcy d is a sibling of ada b\tis a sibling of\tsymmetric\tentailment\n"  # noqa: E501


def row(id, subject, object, words="is located in", symmetry="asymmetric", label="neutral"):
    texts = f"{subject} {words} {object}", f"{object} {words} {subject}"
    return "\t".join([str(id), *texts, words, symmetry, label]) + "\n"


@pytest.fixture
def write(tmp_path):
    def written(*lines, head=HEAD):
        path = tmp_path / "table.tsv"
        path.write_bytes(b"".join(
            line if isinstance(line, bytes) else line.encode() for line in (head, *lines)
        ))  # fmt: skip
        return path

    return written


def test_rows_and_their_entities(write):
    read = read_published_symmetry(write(SOUND, row(2, "x hall", "y")))
    assert [(r.id, r.relation.name, r.subject, r.object, r.line) for r in read.rows] == [
        ("1", "sibling", "ada b", "cy d", 2),
        ("2", "located_in", "x hall", "y", 3),
    ]
    assert read.rows[0].text.text == "ada b is a sibling of cy d"
    assert read.mended == read.left_out == read.faults == []


def test_what_is_odd_but_sound(write):
    name = "is an equivalent name of"
    read = read_published_symmetry(write(
        # Broken over lines, quotes within quotes, a lost full stop, words after the object.
        '1\t"ada b is a sibling of cy d\n"\t"cy d\n is a sibling of ada b"\tis a sibling of\t'
        "symmetric\tentailment\n",
        '2\t"al ""x"" b is part of c"\t"c is part of al ""x"" b"\tis part of\t'
        "asymmetric\tneutral\n",
        "3\tjo jr. is part of life...\tlife... is part of jo jr\tis part of\t"
        "asymmetric\tneutral\r\n",
        "4\tjo jr. is part of so\tso is part of jo jr\tis part of\tasymmetric\tneutral\n",
        f"5\tmia {name} leo for other gender\tleo {name} mia for other gender\t{name}\tsymmetric\t"
        "entailment\n",
    ))  # fmt: skip
    assert [(r.subject, r.object) for r in read.rows] == [
        ("ada b", "cy d"), ('al "x" b', "c"), ("jo jr.", "life..."), ("jo jr.", "so"),
        ("mia", "leo"),
    ]  # fmt: skip
    assert [note.line for note in read.mended] == [2]
    assert read.rows[1].line == 5  # counted in lines of the file
    assert read.rows[0].pair.text == "cy d is a sibling of ada b"
    assert "1 mended: a record broken over lines (line 2)" in read.note()
    last = read.rows[-1]
    assert [last.text.text[slice(*s)] for s in last.text.spans["relation"]] == [
        name, "for other gender"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("2\ta is part of b\tb is part of a\tis part of\tasymmetric\n", "has 5 columns"),
        (row(2, "a", "b", "is next to"), "relation 'is next to' is unknown"),
        (row(2, "a", "b", symmetry="symmetric"), "symmetry 'symmetric' is not that of"),
        (row(2, "a", "b", symmetry="sideways"), "symmetry 'sideways'"),
        (row(2, "a", "b", label="entailment"), "label 'entailment'"),
        (row(1, "a", "b"), "textid 1 is that of line 2"),
        (row("two", "a", "b"), "textid 'two' is not a number"),
        ("2\ta is part of b\ta is part of b\tis part of\tasymmetric\tneutral\n", "exchanged"),
        ("2\ta is part of b\tc is part of a\tis part of\tasymmetric\tneutral\n", "exchanged"),
        ("2\t is part of b\tb is part of \tis part of\tasymmetric\tneutral\n", "exchanged"),
        ('2\t"a is part of b\tb is part of a\tis part of\tasymmetric\tneutral\n', "not a record"),
        (row(2, "a", "b").encode().replace(b"b", b"\xff"), "not UTF-8"),
        ("torn off\n", "has 1 columns"),
    ],
)
def test_faults_are_named_and_spoil_their_own_row_only(write, line, said):
    path = write(SOUND, line, row(3, "c", "d"))
    with pytest.raises(DataError, match=rf"table\.tsv:3: .*{said}.*skip faulty ones"):
        read_published_symmetry(path)
    read = read_published_symmetry(path, skip_faults=True)
    assert [found.id for found in read.rows] == ["1", "3"]
    assert [note.line for note in read.faults] == [3]
    assert "1 faulty: " in read.note()


def test_several_faults_are_counted(write):
    with pytest.raises(DataError, match=r"3: has 1 columns.*\(2 such rows in all\)"):
        read_published_symmetry(write(SOUND, "torn\n", "2\toff\n"))


def test_files_that_are_none(write, tmp_path):
    with pytest.raises(DataError, match="columns textid, text"):
        read_published_symmetry(tmp_path / "absent.tsv")
    other = write(SOUND, head="id\ttext\n")
    assert not is_published_symmetry(other)
    with pytest.raises(DataError, match="columns textid, text"):
        read_published_symmetry(other)
    with pytest.raises(DataError, match="no row that can be used"):
        read_published_symmetry(write())


def test_rows_of_no_use_are_left_out_and_said(write):
    sibling = ("is a sibling of", "symmetric", "entailment")
    read = read_published_symmetry(write(
        row(1, "a", "b"), row(2, "a", "b"), row(3, "c", "c"), row(4, "d", "e"), row(5, "e", "d"),
        row(6, "a", "b", *sibling), row(7, "b", "a", *sibling),
    ))  # fmt: skip
    assert [found.id for found in read.rows] == ["1", "6", "7"]
    assert [note.line for note in read.left_out] == [3, 4, 5, 6]


def table(write, count=80):
    """Chains of three entities, in five relations of very uneven numbers."""
    words = {entry.name: entry for entry in relations().values()}
    lines = []
    for number in range(count):
        name = ["sibling", "located_in", "sibling", "part_of", "located_in"][number % 5]
        name = {7: "led_to", 15: "possibly_same"}.get(number, name)
        entry = words[name]
        known = entry.symmetry == "symmetric"
        lines.append(
            row(number, f"e{number}", f"e{number + (number % 3 != 2) * 1 or 900 + number}",
                entry.wordings[0].words,
                "symmetric" if known else "asymmetric", "entailment" if known else "neutral")
        )  # fmt: skip
    return write(*lines)


def check_set(facts, rows):
    """Everything that must hold of the pairs, from their texts."""
    validate(facts)
    assert len({pair.id for pair in facts.pairs}) == len(facts.pairs)
    where, parts = {}, defaultdict(list)
    for pair in facts.pairs:
        parts[pair.label_set, pair.entities, pair.split, pair.held_out].append(pair)
        for entity in map(bare, entities_of(pair)):
            assert where.setdefault(entity, pair.split) == pair.split
    assert len(parts) == 12
    texts = {(found.text.text, found.pair.text) for found in rows}
    told = defaultdict(set)
    for found in rows:
        for one, other in ((found.subject, found.object), (found.object, found.subject)):
            told[bare(one)].add(bare(other))
    for (label_set, entities, _, held_out), pairs in parts.items():
        labels = Counter(pair.label for pair in pairs)
        assert max(labels.values()) - min(labels.values()) <= 1
        assert len(labels) == (2 if label_set == "two_labels" else 3)
        used = Counter(pair.id.rsplit(".", 1)[1] for pair in pairs)
        assert set(used.values()) == {1}
        for pair in pairs:
            subject, object, *there = map(bare, entities_of(pair))
            if entities == "names":
                assert object in told[subject]
                if pair.form == "wrong_entity":
                    (other,) = {*there} - {subject, object}
                    (kept,) = {*there} & {subject, object}
                    assert other not in told[kept]
            if entities == "names" and label_set == "two_labels" and not held_out:
                assert (pair.premise, pair.hypothesis) in texts
    for label_set, split, held_out in {(p[0], p[2], p[3]) for p in parts}:
        names, ids = (parts[label_set, form, split, held_out] for form in ("names", "ids"))
        for name, id in zip(names, ids, strict=True):  # the same pairs, in either form
            assert (name.label, name.form, name.relation) == (id.label, id.form, id.relation)


def test_every_control_with_published_entities(write):
    path = table(write)
    rows = read_published_symmetry(path).rows
    facts = published_symmetry(path, seed=1)
    check_set(facts, rows)
    assert published_symmetry(path, seed=1) == facts != published_symmetry(path, seed=2)
    few = PublishedSymmetry(path=path, train=9, test=6).build(1)
    parts = Counter((p.label_set, p.entities, p.split, p.held_out) for p in few.pairs)
    assert set(parts.values()) == {9, 6}
    assert [p for p in facts.pairs if p.id in {q.id for q in few.pairs}] == few.pairs


def test_what_is_connected_stays_together(write):
    rows = read_published_symmetry(table(write)).rows
    by = dict(zip((found.id for found in rows), splits(rows), strict=True))
    # By hand: a chain is three rows, e0-e1-e2-…, and its first name says where all of it belongs.
    for first in range(0, 78, 3):
        assert len({by[str(first + step)] for step in range(2)}) == 1
    assert set(by.values()) == {"train", "test"}


@pytest.mark.slow
def test_the_published_table():
    path = published("symmetry", "sym_train.tsv") / "sym_train.tsv"
    assert is_published_symmetry(path)
    read = read_published_symmetry(path)
    assert read.faults == []
    assert len(read.mended) == 13
    with path.open(encoding="utf-8", newline="") as file:  # the standard reader, on the whole file
        records = list(csv.DictReader(file, delimiter="\t"))
    assert len(records) == 10_000 == len(read.rows) + len(read.left_out)
    texts = {record["textid"]: record for record in records}
    for found in read.rows:
        record = texts[found.id]
        for ours, theirs in ((found.text, record["text"]), (found.pair, record["pair"])):
            assert ours.text.split() == theirs.split()
            assert ours.text == theirs or "\n" in theirs
    counts = Counter(found.relation.name for found in read.rows)
    assert counts["sibling"] > 250 * counts["partially_overlaps"]
    facts = PublishedSymmetry(path=path, train=400, test=200).build(0)
    check_set(facts, read.rows)
