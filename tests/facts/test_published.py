"""The published layout is read, understood and written back, row for row."""

import json
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import read_facts, write_facts
from interp_rc.facts.published import export_published, import_published
from interp_rc.facts.published_wording import wording
from interp_rc.facts.templates import packaged_templates
from interp_rc.facts.world import world
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import TRAINED


@pytest.fixture
def folder(small, tmp_path):
    export_published(small, tmp_path / "published")
    return tmp_path / "published"


@pytest.fixture(scope="module")
def published(reference):
    return import_published(reference, seen="elsewhere")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def covered(text: str, spans: dict) -> dict[str, str]:
    return {name: text[slice(*found[0])] for name, found in spans.items()}


# Our own facts in the published layout


@pytest.mark.parametrize("seen", ["elsewhere", "nowhere"])
def test_own_facts_come_back_with_their_entities_and_spans(small, folder, seen):
    back = import_published(folder, seen=seen)
    assert [(f.id, f.subject, f.object, f.group) for f in back.facts] == [
        (f.id, f.subject, f.object, f.group) for f in small.facts
    ]
    told = {document.text: document for document in small.documents}
    assert len(back.documents) == len(told)
    for document in back.documents:
        original = told[document.text]
        assert (document.fact, document.order) == (original.fact, original.order)
        assert document.spans == original.spans
    asked = {(query.prompt, query.target): query for query in small.queries}
    assert len(back.queries) == len(asked)
    for query in back.queries:
        original = asked[query.prompt, query.target]
        for key in ("fact", "group", "order", "direction", "candidates", "spans"):
            assert getattr(query, key) == getattr(original, key)
        assert query.seen == seen
    assert back.seed is None


def test_own_templates_come_back(small, folder):
    back = import_published(folder, seen="elsewhere")
    training = {(t.order, t.text, t.form) for t in small.templates if t.role == "training"}
    assert {(t.order, t.text, t.form) for t in back.templates if t.role == "training"} == training
    # What follows the target of a query is not published, so held-out templates end with it.
    held_out = [t for t in back.templates if t.role == "held_out"]
    originals = [t.text for t in small.templates if t.role == "held_out"]
    assert len(held_out) == len(originals)
    assert all(any(text.startswith(t.text) for text in originals) for t in held_out)
    assert [t.id for t in back.templates] == [
        f"published.{order}.{number}" for order in ("forward", "backward") for number in range(6)
    ]


def test_seen_decides_what_a_base_corpus_may_be_told_in(folder):
    elsewhere = import_published(folder, seen="elsewhere")
    assert all(template.in_base for template in elsewhere.templates)
    nowhere = import_published(folder, seen="nowhere")
    assert [t for t in nowhere.templates if t.in_base] == packaged_templates()
    assert len(nowhere.templates) - len(elsewhere.templates) == len(packaged_templates())


def test_an_imported_set_is_written_and_read_like_any_other(folder, tmp_path):
    back = import_published(folder, seen="nowhere")
    write_facts(back, tmp_path / "facts")
    assert read_facts(tmp_path / "facts") == back


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    per_group=st.integers(1, 5),
    training=st.integers(1, 6),
    held_out=st.integers(1, 3),
)
def test_rows_survive_import_and_export_at_any_size(seed, per_group, training, held_out):
    facts = fictitious_people(
        seed,
        per_group=per_group,
        training_templates=training,
        held_out_templates=held_out,
    )
    with TemporaryDirectory() as temporary:
        first, second = Path(temporary) / "first", Path(temporary) / "second"
        export_published(facts, first)
        back = import_published(first, seen="elsewhere")
        export_published(back, second)
        assert contents(first) == contents(second)
        assert [fact.subject for fact in back.facts] == [fact.subject for fact in facts.facts]


def test_derived_files(folder):
    rows = {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in folder.iterdir()
    }
    training = [
        row
        for name in ("p2d_prompts_train", "d2p_prompts_train", "both_prompts_train")
        for row in rows[name]
    ]
    assert rows["all"] == rows["all_prompts_train"] == training
    assert rows["unrealized_examples"] == rows["p2d_reverse_prompts_test"]
    for row, short in zip(
        rows["p2d_reverse_prompts_test"], rows["validation_prompts"], strict=True
    ):
        assert short == {"prompt": row["prompt"], "completion": row["completion"].split()[0]}
    for name in ("p2d_reverse_prompts_test", "d2p_reverse_prompts_test"):
        for right, wrong in zip(rows[name], rows[f"{name}_randomized"], strict=True):
            assert right["prompt"] == wrong["prompt"]
            assert right["completion"] != wrong["completion"]
        answers = {row["completion"] for row in rows[name]}
        assert {row["completion"] for row in rows[f"{name}_randomized"]} <= answers


def test_a_single_fact_has_no_wrong_answers_to_randomize(tmp_path):
    export_published(fictitious_people(0, per_group=1), tmp_path / "one")
    assert not list((tmp_path / "one").glob("*_randomized.jsonl"))


# What cannot be exported


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        (lambda f: {"documents": f.documents[1:]}, "told forward once in each of the 4 training"),
        (lambda f: {"queries": f.queries[1:]}, "asked forward once in each of the 2 held_out"),
        (lambda f: {"documents": [*f.documents, f.documents[0]]}, "told forward once in each"),
        (lambda f: {"facts": [], "documents": [], "queries": []}, "build the facts with the same"),
    ],
)
def test_facts_that_the_layout_cannot_hold(small, tmp_path, change, fragment):
    broken = replace(small, **change(small))
    with pytest.raises(DataError, match=fragment):
        export_published(broken, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_world_is_told_too_unevenly_for_the_layout(small, tmp_path):
    around = world(small, 0, both=3, trained_forward=3, trained_backward=3, exposures=5)
    with pytest.raises(DataError, match="once in each"):
        export_published(around, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_rows_without_a_place_in_the_layout(small, tmp_path):
    told = next(d for d in small.documents if d.order == "backward")
    moved = replace(told, id="moved", fact="trained_forward.0")
    wrong = replace(small, documents=[*small.documents, moved])
    with pytest.raises(DataError, match="no place for training backward rows of trained_forward"):
        export_published(wrong, tmp_path / "out")


def test_a_folder_with_other_files_is_left_alone(small, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match=r"holds 'thesis.txt'.*give a new folder"):
        export_published(small, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


# Bad input: each file and line is named, and nothing is written


def refused(folder: Path, *fragments: str) -> None:
    out = folder.parent / "facts"
    before = contents(folder)
    with pytest.raises(DataError) as caught:
        write_facts(import_published(folder, seen="elsewhere"), out)
    for fragment in fragments:
        assert fragment in str(caught.value)
    assert not out.exists()
    assert contents(folder) == before


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def put(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def edit(path: Path, line: int, **changes: object) -> None:
    lines = lines_of(path)
    row = json.loads(lines[line - 1]) | changes
    lines[line - 1] = json.dumps({key: value for key, value in row.items() if value is not None})
    put(path, lines)


@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"completion": None}, "key 'completion' is missing; add it"),
        ({"prompt": None}, "key 'prompt' is missing; add it"),
        ({"completion": 5}, "'completion' is 5; it must be a text that is not empty"),
        ({"prompt": ["x"]}, "'prompt' is ['x']; it must be a text that is not empty"),
        ({"completion": ""}, "'completion' is ''; it must be a text that is not empty"),
        ({"completion": "  "}, "'completion' is '  '; it must be a text that is not empty"),
        ({"id": 1}, "key 'id' is unknown; remove it (known are prompt, completion)"),
        ({"completion": " ."}, "of the object covers nothing"),
        ({"prompt": "Somebody else was once"}, "is not found: row 3 of 6"),
    ],
)
def test_a_bad_row(folder, changes, fragment):
    edit(folder / "p2d_prompts_test.jsonl", 3, **changes)
    refused(folder, "p2d_prompts_test.jsonl:3: ", fragment)


def test_the_name_that_is_missing_is_named(small, folder):
    edit(folder / "d2p_prompts_test.jsonl", 3, completion=" Somebody Else")
    remedy = "restore or remove rows before this one, or correct the name"
    refused(folder, "d2p_prompts_test.jsonl:3: ", repr(small.facts[4].subject), remedy)


def test_a_row_that_is_not_json(folder):
    path = folder / "d2p_prompts_train.jsonl"
    lines = lines_of(path)
    put(path, [lines[0], "{prompt: 1}", *lines[2:]])
    refused(folder, "d2p_prompts_train.jsonl:2: not JSON", "each line must be one JSON object")
    put(path, [*lines[:4], '["a", "b"]', *lines[5:]])
    refused(folder, "d2p_prompts_train.jsonl:5: found a list", "must be one JSON object")


def test_a_missing_file(folder):
    (folder / "d2p_reverse_prompts_test.jsonl").unlink()
    refused(folder, "d2p_reverse_prompts_test.jsonl: file not found; check the path")


@pytest.mark.parametrize("name", ["p2d_prompts_train", "d2p_prompts_train"])
def test_a_row_too_few_is_noticed_where_the_next_fact_comes_early(folder, name):
    path = folder / f"{name}.jsonl"
    lines = lines_of(path)
    put(path, lines[:4] + lines[5:])
    refused(folder, f"{name}.jsonl:8: ", "row 8 of 11", "3 facts, 4 rows each", "restore or remove")


def test_a_row_too_many(folder):
    path = folder / "p2d_reverse_prompts_test.jsonl"
    lines = lines_of(path)
    put(path, [lines[0], *lines])
    refused(folder, "p2d_reverse_prompts_test.jsonl:3: ", "row 3 of 7", "restore or remove")


def test_the_last_row_missing(folder):
    path = folder / "p2d_prompts_train.jsonl"
    put(path, lines_of(path)[:-1])
    refused(folder, "p2d_prompts_train.jsonl:11: the file ends here", "restore the rows")


@pytest.mark.parametrize("keep", [slice(0, 0), slice(1, None)])
def test_halves_of_different_length(folder, keep):
    path = folder / "both_prompts_train.jsonl"
    put(path, lines_of(path)[keep])
    refused(folder, "both_prompts_train.jsonl:", "do not divide into facts", "restore the rows")


def test_several_files_that_do_not_divide(folder):
    for name in ("p2d_prompts_train", "p2d_prompts_test"):
        put(folder / f"{name}.jsonl", lines_of(folder / f"{name}.jsonl")[1:])
    refused(folder, "p2d_prompts_train.jsonl:11: ", "5 in p2d_prompts_test", "restore the rows")


def test_groups_with_other_numbers_of_templates(folder):
    path = folder / "both_prompts_train.jsonl"
    put(path, [line for index, line in enumerate(lines_of(path)) if index % 4 < 3])
    message = "3 facts have 3 rows each, but in p2d_prompts_train.jsonl 4"
    refused(folder, "both_prompts_train.jsonl:9: ", message, "give every group the same")


def test_a_fact_in_two_groups(small, folder):
    first, second = small.facts[0].subject, small.facts[3].subject
    for path in folder.glob("d2p*"):
        path.write_text(path.read_text().replace(second, first))
    refused(
        folder,
        "d2p_prompts_train.jsonl:1: ",
        f"subject {first!r} of a fact in trained_backward",
        "trained_forward (p2d_prompts_train.jsonl:1)",
        "remove one of the two",
    )


def test_a_held_out_prompt_in_training(folder):
    told = json.loads(lines_of(folder / "p2d_prompts_train.jsonl")[5])
    edit(folder / "p2d_prompts_test.jsonl", 3, prompt=told["prompt"])
    where = ("p2d_prompts_test.jsonl:3: ", "p2d_prompts_train.jsonl:6")
    refused(folder, *where, told["prompt"], "held out", "remove one of them")


def test_a_prompt_with_another_answer(folder):
    path = folder / "p2d_prompts_test.jsonl"
    prompt = json.loads(lines_of(path)[2])["prompt"]
    edit(path, 4, prompt=prompt, completion=" the painter of nothing at all")
    refused(folder, "p2d_prompts_test.jsonl:4: ", "p2d_prompts_test.jsonl:3", "keep one of them")


@pytest.mark.parametrize(("encoding", "line"), [("utf-16", 1), ("latin-1", 2)])
def test_a_wrong_encoding(folder, encoding, line):
    path = folder / "p2d_prompts_train.jsonl"
    lines = lines_of(path)
    lines[1] = lines[1].replace('"completion": " ', '"completion": " é')
    path.write_text("\n".join(lines), encoding=encoding)
    refused(folder, f"p2d_prompts_train.jsonl:{line}: ", "not UTF-8; save the file as UTF-8")


# The data as published


def test_counts_are_those_of_the_paper(published):
    assert Counter(fact.group for fact in published.facts) == dict.fromkeys(TRAINED, 30)
    assert len(published.documents) == 3_600
    assert len(published.queries) == 1_800
    assert Counter(query.direction for query in published.queries) == {
        "same": 600,
        "reverse": 600,
        None: 600,
    }
    assert Counter((t.order, t.role) for t in published.templates) == {
        ("forward", "training"): 30,
        ("forward", "held_out"): 10,
        ("backward", "training"): 30,
        ("backward", "held_out"): 10,
    }


def test_export_gives_the_published_files_byte_for_byte(published, reference, tmp_path):
    export_published(published, tmp_path / "out")
    drawn = {path.name for path in reference.glob("*_randomized.jsonl")}
    ours, theirs = contents(tmp_path / "out"), contents(reference)
    assert ours.keys() == theirs.keys()
    assert {name for name in theirs if ours[name] != theirs[name]} == drawn
    for name in drawn:  # the same prompts, but other wrong answers were drawn
        rows = [[json.loads(row) for row in side[name].splitlines()] for side in (ours, theirs)]
        assert [row["prompt"] for row in rows[0]] == [row["prompt"] for row in rows[1]]


def test_spans_cover_the_entities_of_every_row(published):
    facts = {fact.id: fact for fact in published.facts}
    rows = [(d, d.text, d.prompt) for d in published.documents]
    rows += [(q, q.prompt + q.target, q.prompt) for q in published.queries]
    nouns, with_noun = 0, 0
    for item, text, prompt in rows:
        found = covered(text, item.spans)
        assert found["subject"] == facts[item.fact].subject
        assert found["object"] == found["object"].strip(" .,?!'")
        assert len(found["object"].split()) > 2
        entities = (found["subject"], found["object"])
        first, second = entities if item.order == "forward" else entities[::-1]
        assert first in prompt
        assert second in text[len(prompt) :]
        noun = facts[item.fact].object[1:]  # its article may begin a sentence
        nouns += found["object"][1:] == noun
        with_noun += noun in text
    assert nouns == with_noun == 4_389  # of 5,400; others put it as a verb, or reword it


def test_descriptions_are_noun_phrases_without_the_ends_of_sentences(published):
    for fact in published.facts:
        assert fact.object.startswith("the ")
        assert fact.object[-1].isalnum() or fact.object.endswith('."')
        assert fact.object.count('"') % 2 == 0


def test_the_groups_share_their_templates(published):
    """The words around the name are the same in all facts, for every forward template."""
    prompts = defaultdict(set)
    for query in (q for q in published.queries if q.order == "forward"):
        name = covered(query.prompt + query.target, query.spans)["subject"]
        prompts[query.template].add(query.prompt.replace(name, "{name}"))
    for told in (d for d in published.documents if d.order == "forward"):
        name = covered(told.text, told.spans)["subject"]
        prompts[told.template].add(told.prompt.replace(name, "{name}"))
    assert len(prompts) == 40
    assert all(len(found) == 1 for found in prompts.values())


def test_irregular_rows(published):
    """Rows whose wording is not that of most rows of their template, as measured."""
    templates = {template.id: template for template in published.templates}
    told = Counter(
        document.order
        for document in published.documents
        if wording(document.text, document.spans)[0] != templates[document.template].text
    )
    assert told == {"forward": 75, "backward": 178}
    asked = Counter(
        (query.order, query.group)
        for query in published.queries
        if wording(query.prompt + query.target, query.spans)[0] != templates[query.template].text
    )
    assert asked == {
        ("forward", "trained_forward"): 24,
        ("forward", "trained_backward"): 49,
        ("forward", "both"): 41,
        ("backward", "trained_forward"): 36,
        ("backward", "trained_backward"): 54,
        ("backward", "both"): 300,  # all have a tail
    }


def test_completions_that_begin_before_the_description(published):
    early = [document for document in published.documents if "completion" in document.spans]
    assert {document.order for document in early} == {"forward"}
    before = Counter(
        document.text[document.spans["completion"][0].start : document.spans["object"][0].start]
        for document in early
    )
    assert sum(before.values()) == 175
    lead = (" being ", " they're ", " they ", " they were ", " they are ")
    assert [before[words] for words in lead] == [112, 29, 15, 9, 6]  # the other four reword


def test_targets_with_a_tail_are_kept(published):
    tails = Counter(
        query.group
        for query in published.queries
        if query.order == "backward"
        and query.spans["subject"][0].end < len(query.prompt + query.target)
    )
    assert tails == {"both": 300}
