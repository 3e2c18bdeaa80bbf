"""Facts by subject, relation and object become contrasts that tell them apart."""

import json

import pytest

from interp_rc.facts.triples import Triple, contrasts_of, read_triples
from interp_rc.records.errors import DataError

CAPITALS = [
    ("Paris", "is the capital of", "France"),
    ("Rome", "is the capital of", "Italy"),
    ("Oslo", "is the capital of", "Norway"),
    ("Bern", "is the capital of", "Switzerland"),
]
RIVERS = [
    ("Paris", "lies on the", "Seine"),
    ("Rome", "lies on the", "Tiber"),
    ("Rouen", "lies on the", "Seine"),
    ("Lyon", "lies on the", "Rhône"),
    ("Lyon", "lies on the", "Saône"),
]


def write(tmp_path, rows):
    path = tmp_path / "facts.jsonl"
    lines = [json.dumps(dict(zip(("subject", "relation", "object"), r, strict=True))) for r in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


def test_from_a_file_to_contrasts(tmp_path):
    rows = CAPITALS + RIVERS
    contrasts = contrasts_of(read_triples(write(tmp_path, rows)))
    known = set(rows)
    assert [c.fact for c in contrasts] == [subject for subject, _, _ in rows]
    assert len({c.id for c in contrasts}) == len(rows)
    for (subject, relation, object), c in zip(rows, contrasts, strict=True):
        assert (c.clean, c.target, c.order) == (f"{subject} {relation}", f" {object}", "forward")
        other = c.corrupted.removesuffix(f" {relation}")
        assert other != c.corrupted
        assert (other, relation, c.foil[1:]) in known
        assert (subject, relation, c.foil[1:]) not in known  # the foil is false
        assert (other, relation, object) not in known  # and the target after the corrupted prompt
        texts = [c.clean + c.target, c.corrupted + c.target]
        for name, expected in (
            ("A", [subject, other]),
            ("source", [subject, other]),
            ("B", [object, object]),
        ):
            found = [t[a:b] for t, (a, b) in zip(texts, c.spans[name], strict=True)]
            assert found == expected
    assert [c.line for c in contrasts] == list(range(1, len(rows) + 1))


def test_where_all_are_apart_each_subject_is_used_once():
    facts = [Triple(*row) for row in CAPITALS]
    first = contrasts_of(facts, seed=1)
    assert first == contrasts_of(facts, seed=1)
    assert sorted(c.corrupted for c in first) == sorted(f.prompt for f in facts)
    drawn = {tuple(c.corrupted for c in contrasts_of(facts, seed=s)) for s in range(60)}
    assert len(drawn) == 6  # the circles of four


def test_spaces_around_texts_do_not_count():
    assert Triple(" Paris ", "is in ", " France") == Triple("Paris", "is in", "France")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*CAPITALS, RIVERS[0]], r"'Paris\|lies on the\|Seine' \(line 5\): no other fact of 'lies"),
        ([RIVERS[0], RIVERS[2]], r"\(line 1\): no other fact"),  # the same object
        ([RIVERS[3], RIVERS[4]], r"\(line 1\): no other fact"),  # the same subject
        # Rouen lies on both, so its Aubette does not tell it from Paris.
        ([RIVERS[0], RIVERS[2], ("Rouen", "lies on the", "Aubette")], r"\(line 1\): no other"),
        ([RIVERS[0], RIVERS[0]], r"facts\.jsonl:2: the same fact as in line 1"),
        ([], r"facts\.jsonl: holds no facts"),
        ([("a", "", "b")], r"facts\.jsonl:1: 'relation' must be a text"),
    ],
)
def test_refused(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        contrasts_of(read_triples(write(tmp_path, rows)))


@pytest.mark.parametrize("text", ["{} is the capital of", "is {subject} of", "[X] is in [Y]", "{}"])
def test_a_slot_that_nothing_fills_is_refused_by_line(tmp_path, text):
    path = write(tmp_path, [CAPITALS[0], ("Rome", text, "Italy")])
    with pytest.raises(
        DataError, match=r"facts\.jsonl:2: relation .* holds the slot .*write the words"
    ):
        read_triples(path)
    with pytest.raises(DataError, match=r"subject .* holds the slot"):
        Triple(text, "is", "x")
