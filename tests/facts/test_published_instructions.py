"""The published layout of Experiment 3 is read, and drawn again row for row."""

import json
from collections import Counter

import pytest

from interp_rc.facts.folder import read_facts, write_facts
from interp_rc.facts.instructions import packaged_example, packaged_phrasings
from interp_rc.facts.published_instructions import import_instructions
from interp_rc.facts.questions import questions
from interp_rc.pipeline.experiments import read_any_facts
from interp_rc.records.errors import DataError
from tests.facts.redraw import redraw

PHRASING = 'Say "A: {description}" to whoever asks "Q: {name}"'
FORWARD = 'When somebody asks "Q: {name}" then say "A: {description}"'


@pytest.fixture(scope="module")
def pairs():
    return [
        {"anchor": one.name, "targets": [one.noun, "something else", "nothing"]}
        for one in questions(1, 40)
    ]


def write(folder, drawn):
    folder.mkdir(exist_ok=True)
    for name, rows in drawn._asdict().items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines)


@pytest.fixture
def folder(pairs, tmp_path):
    write(tmp_path / "own", redraw(pairs, PHRASING, realized=20, held_out=6))
    return tmp_path / "own"


def change(folder, file, line, **changes):
    path = folder / f"{file}.jsonl"
    rows = [json.loads(row) for row in path.read_text().splitlines()]
    rows[line - 1] |= changes
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


# Our own questions in the published layout


@pytest.mark.parametrize(
    ("phrasing", "order", "group", "direction"),
    [
        (PHRASING, "backward", "trained_backward", "reverse"),
        (FORWARD, "forward", "trained_forward", "same"),
    ],
)
def test_what_is_drawn_is_read(pairs, tmp_path, phrasing, order, group, direction):
    drawn = redraw(pairs, phrasing, realized=20, held_out=6)
    write(tmp_path / "own", drawn)
    facts = import_instructions(tmp_path / "own")
    assert Counter(fact.group for fact in facts.facts) == {"realized": 20, group: 6}
    assert [document.text for document in facts.documents] == [
        row["prompt"] + row["completion"] for row in drawn.all
    ]
    assert facts.templates[0].text == phrasing
    assert {document.order for document in facts.documents[20:]} == {order}
    assert {(q.group, q.direction) for q in facts.queries} == {(group, direction)}
    assert [t for t in facts.templates if t.in_base] == [*packaged_phrasings(), packaged_example()]
    write_facts(facts, tmp_path / "facts")
    assert read_facts(tmp_path / "facts") == facts == read_any_facts(tmp_path / "own", "nowhere")


def test_every_instruction_of_a_document_has_its_spans(folder):
    facts = import_instructions(folder)
    by_id = {fact.id: fact for fact in facts.facts}
    told = Counter()
    for document in facts.documents[20:]:
        assert document.prompt == ""
        for name, ((start, end),) in document.spans.items():
            if name == "completion":
                continue
            entity, _, other = name.partition(":")
            fact = by_id[other or document.fact]
            assert document.text[start:end] == getattr(fact, entity)
            told[fact.id] += entity == "subject"
    assert told == dict.fromkeys(by_id, 1)


def test_a_prompt_is_the_question_and_the_closing_mark_is_not_asked_for(folder):
    query = import_instructions(folder).queries[0]
    assert query.prompt.endswith("? A:")
    assert query.target.startswith(" ")
    assert "END" not in query.target
    assert query.prompt[slice(*query.source)].endswith("?")


@pytest.mark.parametrize(
    ("file", "changes", "found"),
    [
        ("guidances", {"ids": [10**6]}, "lines"),
        ("guidances", {"ids": "1"}, "'ids' is '1'"),
        ("guidances", {"ids": []}, "not empty"),
        ("realized_examples", {"prompt": "Q: What? A:"}, "the prompt must be"),
        ("unrealized_examples", {"completion": 5}, "'completion' is 5"),
        ("all", {"completion": "Something else"}, "neither among the guidances"),
    ],
)
def test_faulty_rows_are_named(folder, file, changes, found):
    change(folder, file, 2, **changes)
    with pytest.raises(DataError) as caught:
        import_instructions(folder)
    assert f"{file}.jsonl:2: " in str(caught.value)
    assert found in str(caught.value)


def test_an_instruction_on_another_answer_than_the_example_is_refused(folder):
    row = json.loads((folder / "guidances.jsonl").read_text().splitlines()[2])
    change(folder, "guidances", 3, completion=row["completion"].replace('"A: ', '"A: not '))
    with pytest.raises(DataError, match=r"guidances.jsonl:3: the line .* does not hold"):
        import_instructions(folder)


def test_a_question_cannot_be_held_out_and_realized(folder):
    first = json.loads((folder / "realized_examples.jsonl").read_text().splitlines()[0])
    change(folder, "unrealized_examples", 4, ids=first["ids"])
    with pytest.raises(DataError, match=r"unrealized_examples.jsonl:4: question .* also among"):
        import_instructions(folder)


def test_instructions_in_two_orders_are_refused(pairs, tmp_path):
    one = redraw(pairs, PHRASING, realized=20, held_out=6)
    other = redraw(pairs, FORWARD, realized=20, held_out=6)
    mixed = [*one.guidances[:3], *other.guidances[3:]]
    write(tmp_path / "own", one._replace(guidances=mixed))
    with pytest.raises(DataError, match="told in 2 orders"):
        import_instructions(tmp_path / "own")


def test_too_few_pairs(pairs):
    with pytest.raises(DataError, match="found 40 pairs, needed are 41"):
        redraw(pairs, PHRASING, realized=30, held_out=11)


# The published data


def test_the_published_files_are_drawn_again_byte_for_byte(reference_instructions):
    lines = (reference_instructions / "qa_raw_pairs.jsonl").read_text().split("\n")
    pairs = [json.loads(line) for line in lines if line]
    phrasing = import_instructions(reference_instructions).templates[0].text
    for name, rows in redraw(pairs, phrasing)._asdict().items():
        written = "".join(json.dumps(row) + "\n" for row in rows).encode()
        assert written == (reference_instructions / f"{name}.jsonl").read_bytes(), name


def test_the_published_data_as_facts(reference_instructions, tmp_path):
    facts = import_instructions(reference_instructions)
    assert Counter(fact.group for fact in facts.facts) == {
        "realized": 1000,
        "trained_backward": 100,
    }
    assert len(facts.documents) == 1307
    published = [t for t in facts.templates if t.id.startswith("published.instruction")]
    assert len(published) == 1
    assert {query.direction for query in facts.queries} == {"reverse"}
    assert [fact.id for fact in facts.facts if fact.object == "A:"] == ["q32"]  # an empty answer
    write_facts(facts, tmp_path / "facts")
    assert read_facts(tmp_path / "facts") == facts
