"""What the README says was measured comes from a table, and no table denies it."""

import re

import pandas as pd
import pytest

from analysis import markdown, markdown_symmetry, markdown_tools, markdown_weights, readme
from analysis.old_names import read_table
from interp_rc.records.errors import DataError

TEMPLATE = readme.TEMPLATE.read_text(encoding="utf-8")
NOT_MEASURED = [
    # Names, versions, citations.
    "3.11, 3.12 or 3.13", "GPT-2", "GPT-3 175B", "is not GPT-3", "GPT-4", "gpt-3.5-turbo",
    "Qwen2, Qwen3", "Gemma 1 to 3", "all-MiniLM-L6-v2", "Yuan and Vlachos 2025",
    "Meng et al. 2022", "L2 less so",
    "float32", "bfloat16", "Experiment 1", "Experiment 2", "its Table 1", "footnote 13",
    # Settings: sizes of models and fact sets, levels of intervals and of false discovery.
    "95 % t intervals", "95 % intervals", "rate of 5 %",
    "90 people", "1 M parameters", "30 facts told name first, 30 told", "and 30 told both ways",
    "one of 30 candidates", "one of 60 candidates", "Of 1,344 neurons, 16 bring",
    "16 neurons picked to", "of 31) bring", "the 128 singular", "the first 16 bring",
    "and the 112", "100 test pairs", "192 pairs", "draws of 256", "training on 160:",
    "10,000 public ones", "192 to train", "100 to test with", "256 pairs", "6,000 texts",
    "54 well-known people", "layer 2 at a token", "layer 3; one neuron",
    "8 layers of width 256, 20 tokens", "100 % by construction",
    # Taken by hand, with the machine beside them.
    "3 min 40 s", "2 min 5 s", "25 minutes on two", "6 min 19 s", "7 min 10 s", "3½ to 12 minutes",
    "(100 s a base model",
]  # fmt: skip


def prose(template):
    """Without code, what is rendered from tables, and addresses of links."""
    text = re.sub(r"^```.*?^```$", "", template, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\{\{.*?\}\}", "", text, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`]*`", "", text))
    return " ".join(text.split())


def unexplained(template):
    """What has a digit and stands in no phrase of `NOT_MEASURED`, word by word."""
    text = prose(template)
    for phrase in sorted(NOT_MEASURED, key=len, reverse=True):
        text = text.replace(phrase, "")
    return re.findall(r"\S*\d\S*", text)


def test_the_readme_is_what_the_tables_give():
    made = readme.render()
    assert readme.README.read_text(encoding="utf-8") == made, "run python -m analysis.readme"


def test_every_table_is_in_it():
    modules = (markdown, markdown_symmetry, markdown_tools, markdown_weights)
    tables = [
        f"{{{{ {module.__name__.rpartition('.')[2]}.{name}() }}}}"
        for module in modules
        for name in dir(module)
        if name.endswith("_table") and name != "read_table"
    ]
    assert len(tables) == 22
    assert all(table in TEMPLATE for table in tables)


def test_no_number_in_prose_was_measured_and_typed():
    assert unexplained(TEMPLATE) == []


def test_no_allowance_is_left_of_what_is_gone():
    assert [phrase for phrase in NOT_MEASURED if phrase not in prose(TEMPLATE)] == []


@pytest.mark.parametrize("typed", ["38", "15", "7.1", "1,344", "-0.03"])
def test_a_typed_number_is_told(typed):
    assert unexplained(f"{TEMPLATE}\n\nIt brings {typed} nat.\n") == [typed]


@pytest.mark.parametrize(
    ("table", "name", "column", "denied"),
    [
        # What brings the reverse, in one order: the sentence of "nothing was found".
        ("mechanism_weights_tests", "readout.forward.told_otherwise", "p_adjusted", 0.4),
        ("descriptions_tests", "trained_forward.reverse.nats", "p_adjusted", 0.2),
        ("mechanism", "one_step.trained_forward.told.reverse.bound", "low", 3.0),
        ("symmetric_reversal", "exact_match.symmetric.reverse", "value", 0.2),
    ],
)
def test_a_sentence_that_its_table_denies_makes_no_readme(monkeypatch, table, name, column, denied):
    rows = readme.rows

    def changed(wanted: str) -> pd.DataFrame:
        found = rows(wanted)
        if wanted == table:
            found = found.copy()
            found.loc[name, column] = denied
        return found

    monkeypatch.setattr(readme, "rows", changed)
    with pytest.raises(DataError, match="a sentence says what the tables deny"):
        readme.render()


def test_shares_of_modules_by_hand():
    """Nat that one module brings alone, of what all weights bring: not a third or so."""
    found = read_table(readme.TABLES / "mechanism_weights.csv").set_index("name").value
    whole = (
        found["transplant.all.trained_forward.same.fact"]
        + found["transplant.all.trained_backward.same.fact"]
    ) / 2
    expected = [found[f"transplant.given.mlp.layer_{layer}.same"] / whole for layer in range(4)]
    assert readme.alone("mlp") == pytest.approx(expected)
    assert readme.listed(expected) == "38, 15, 17 and 19"
    assert readme.listed(readme.alone("attention")) == "30, 8, 10 and 12"


def test_what_rounds_to_zero_has_no_sign():
    assert readme.shown(-0.003, 1) == "0.0"
    assert readme.shown(12345.6) == "12,346"
    assert readme.among([0.2, -1.04], 1) == "-1.0 to 0.2"
    assert readme.among([0.2, 0.21], 1) == "0.2"


def test_verdicts_are_counted():
    every = [read_table(file) for file in readme.TABLES.glob("*_verdicts.csv")]
    inconclusive = sum(int((one.verdict == "inconclusive").sum()) for one in every)
    assert f"{inconclusive} inconclusive" in readme.verdicts()
