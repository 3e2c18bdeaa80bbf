"""A folder of facts is read as it was written, and a damaged one is refused at the damage."""

import json
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interp_rc.facts.factset import DESCRIBED_AS, FactSet
from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import read_facts, write_facts
from interp_rc.facts.templates import Template
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Document, Fact

ROLES = "roles: {subject: name, object: description}\n"

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda found: not found.isspace() and "{" not in found
)


@pytest.fixture
def folder(small, tmp_path):
    write_facts(small, tmp_path / "facts")
    return tmp_path / "facts"


def edit(path: Path, line: int, **changes: object) -> None:
    """Change keys of one JSON line; None removes the key."""
    lines = path.read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[line - 1]) | changes
    lines[line - 1] = json.dumps({key: value for key, value in row.items() if value is not None})
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def refused(folder: Path, *fragments: str) -> None:
    with pytest.raises(DataError) as caught:
        read_facts(folder)
    for fragment in fragments:
        assert fragment in str(caught.value)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    per_group=st.integers(0, 4),
    training=st.integers(0, 5),
    held_out=st.integers(0, 3),
    seen=st.sampled_from(["elsewhere", "nowhere"]),
)
def test_what_is_written_is_read_back(seed, per_group, training, held_out, seen):
    facts = fictitious_people(
        seed,
        per_group=per_group,
        training_templates=training,
        held_out_templates=held_out,
        held_out_seen=seen,
    )
    with TemporaryDirectory() as temporary:
        write_facts(facts, Path(temporary) / "facts")
        assert read_facts(Path(temporary) / "facts") == facts


@settings(max_examples=50, deadline=None)
@given(name=text, description=text)
def test_any_text_is_read_back(name, description):
    template = Template(
        "t.0", "forward", "{name}\n\u2028 “is” {description}\r\n", "noun", "training"
    )
    filled = template.fill(name, description)
    facts = FactSet(
        facts=[Fact("both.0", name, DESCRIBED_AS.name, description, "both")],
        relations=[DESCRIBED_AS],
        templates=[template],
        documents=[Document("d", "both.0", "forward", "t.0", filled.text, filled.spans)],
        queries=[],
    )
    with TemporaryDirectory() as temporary:
        write_facts(facts, Path(temporary) / "facts")
        assert read_facts(Path(temporary) / "facts") == facts


def test_equal_candidate_lists_are_one_list(folder):
    queries = read_facts(folder).queries
    distinct = {tuple(query.candidates) for query in queries}
    assert len(distinct) < len(queries)
    assert len({id(query.candidates) for query in queries}) == len(distinct)


def test_an_older_set_is_replaced_and_leaves_nothing_behind(folder, small):
    write_facts(replace(small, documents=small.documents[:5]), folder)
    assert len(read_facts(folder).documents) == 5
    assert [path.name for path in folder.parent.iterdir()] == ["facts"]


def test_a_folder_with_other_files_is_left_alone(small, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match=r"holds 'thesis.txt'.*give a new folder"):
        write_facts(small, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(DataError, match="is a file; give the path of a folder"):
        write_facts(small, tmp_path / "thesis.txt")


def test_a_write_that_fails_writes_nothing(small, tmp_path, folder):
    broken = replace(small, seed=object())
    with pytest.raises(Exception, match="object"):
        write_facts(broken, tmp_path / "new")
    with pytest.raises(Exception, match="object"):
        write_facts(broken, folder)
    assert [path.name for path in tmp_path.iterdir()] == ["facts"]
    assert read_facts(folder) == small


@pytest.mark.parametrize("name", ["header.yaml", "facts.jsonl", "templates.jsonl", "queries.jsonl"])
def test_a_missing_file(folder, name):
    (folder / name).unlink()
    refused(folder, name, "file not found; check the path")


def test_a_header_without_drawn_from_is_of_people(folder, small):
    (folder / "header.yaml").write_text(f"schema: 2\nseed: 0\n{ROLES}")
    assert read_facts(folder) == small


@pytest.mark.parametrize(
    ("header", "fragments"),
    [
        ("schema: 1\nseed: 0\n", ["header.yaml:1:", "schema 1 is not supported", "version that"]),
        ("schema: true\nseed: 0\n", ["header.yaml:1:", "schema True is not supported"]),
        (
            "schema: 2\n",
            ["header.yaml:1:", "needed are the keys roles, schema, seed", "correct it"],
        ),
        (
            f"schema: 2\nseed: 0\n{ROLES}name: x\n",
            ["header.yaml:1:", "schema, seed"],
        ),
        (
            f"schema: 2\nseed: zero\n{ROLES}",
            ["header.yaml:2:", "must be a number or null"],
        ),
        (
            f"schema: 2\nseed: 0\ndrawn_from: air\n{ROLES}",
            ["header.yaml:3:", "people, questions"],
        ),
        (
            f"drawn_from: people\nschema: 2\nseed: x\n{ROLES}",
            ["header.yaml:3:", "a number or null"],
        ),
        (
            f"schema: 2\nseed: 0\nreserved: Ada\n{ROLES}",
            ["header.yaml:3:", "a list of texts"],
        ),
        (
            "{schema: 2, seed: x, roles: {subject: a, object: b}}\n",
            ["header.yaml:1:", "a number or null"],
        ),
        ("schema: 2\nseed: [0\n", ["header.yaml:3:", "not YAML", "correct it"]),
        ("- 1\n", ["header.yaml:1:", "needed is the key schema"]),
        ("schema: 2\nseed: 0\nroles: capital\n", ["header.yaml:3:", "what subject and object are"]),
        ("schema: 2\nseed: 0\nroles: {subject: '', object: b}\n", ["header.yaml:3:", "called"]),
    ],
)
def test_a_bad_header(folder, header, fragments):
    (folder / "header.yaml").write_text(header)
    refused(folder, *fragments)


@pytest.mark.parametrize(
    ("name", "line", "changes", "fragments"),
    [
        ("documents", 3, {"text": None}, ["'text' is missing", "add it or write the file"]),
        ("queries", 2, {"note": "x"}, ["'note' is unknown", "remove it"]),
        ("facts", 1, {"subject": 7}, ["'subject' must be a text", "found 7", "correct it"]),
        ("facts", 2, {"group": "p2d"}, ["'group' must be one of trained_", "found 'p2d'"]),
        ("queries", 4, {"target": ""}, ["'target' must be a text that is not empty"]),
        ("queries", 4, {"target": " \n"}, ["'target' must be a text that is not empty"]),
        ("documents", 4, {"text": ""}, ["'text' must be a text that is not empty"]),
        ("queries", 1, {"candidates": []}, ["'candidates' must be a list of texts"]),
        ("queries", 1, {"candidates": [" a", 1]}, ["'candidates' must be a list of texts"]),
        ("queries", 1, {"candidates": [[]]}, ["'candidates' must be a list of texts"]),
        ("queries", 1, {"direction": "back"}, ["'direction' must be one of same, reverse"]),
        ("templates", 1, {"in_base": 1}, ["'in_base' must be true or false"]),
        ("templates", 2, {"text": "x"}, ["must hold {name} and then {description}"]),
        ("documents", 1, {"spans": {"subject": [[0]]}}, ["'spans' must be lists of [start, end]"]),
        ("documents", 1, {"spans": {"subject": [[0, True]]}}, ["'spans' must be lists"]),
        ("documents", 1, {"spans": {"subject": [[0, 4]]}}, ["no span of the object", "say where"]),
        ("documents", 5, {"fact": "nobody"}, ["fact 'nobody' is unknown", "add it or correct"]),
        ("queries", 6, {"fact": "nobody"}, ["fact 'nobody' is unknown", "add it or correct"]),
        ("documents", 5, {"template": "t"}, ["template 't' is unknown", "add it or correct"]),
    ],
)
def test_a_bad_line(folder, name, line, changes, fragments):
    edit(folder / f"{name}.jsonl", line, **changes)
    refused(folder, f"{name}.jsonl:{line}: ", *fragments)


@pytest.mark.parametrize("name", ["documents", "queries"])
@pytest.mark.parametrize(
    ("span", "fragment"),
    [
        ([0, 100_000], "covers nothing in a text of"),
        ([-3, 4], "covers nothing in a text of"),
        ([5, 5], "covers nothing in a text of"),
        ([0, 3], "not '"),
    ],
)
def test_a_bad_span(folder, name, span, fragment):
    path = folder / f"{name}.jsonl"
    row = json.loads(path.read_text(encoding="utf-8").splitlines()[2])
    edit(path, 3, spans=row["spans"] | {"subject": [span]})
    refused(folder, f"{name}.jsonl:3: ", f"span {span} of the subject", fragment, "correct it")


def test_lines_that_are_not_json_objects(folder):
    path = folder / "documents.jsonl"
    good = path.read_text(encoding="utf-8")
    path.write_text(good + "{'id': 1}\n", encoding="utf-8")
    refused(folder, f"documents.jsonl:{good.count(chr(10)) + 1}: not JSON", "one JSON object")
    path.write_text("[1]\n" + good, encoding="utf-8")
    refused(folder, "documents.jsonl:1: found a list", "one JSON object")


@pytest.mark.parametrize(("encoding", "line"), [("utf-16", 1), ("latin-1", 2)])
def test_a_wrong_encoding(folder, encoding, line):
    path = folder / "facts.jsonl"
    first, second, *rest = path.read_text(encoding="utf-8").splitlines()
    second = second.replace('"subject": "', '"subject": "É')
    path.write_text("\n".join([first, second, *rest]), encoding=encoding)
    refused(folder, f"facts.jsonl:{line}: ", "is not UTF-8; save the file as UTF-8")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_forty_thousand_documents_fit_in_little_memory(tmp_path):
    program = """
        import sys
        from pathlib import Path
        from interp_rc.facts.fictitious import fictitious_people
        from interp_rc.facts.folder import read_facts, write_facts

        facts = fictitious_people(0, per_group=250, training_templates=40)
        write_facts(facts, Path(sys.argv[1]))
        assert read_facts(Path(sys.argv[1])) == facts
        assert len(facts.documents) == 40_000
        print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "facts")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    # Not ru_maxrss: a child starts with the peak of the process that started it.
    assert int(done.stdout) * 1024 < 1024**3
