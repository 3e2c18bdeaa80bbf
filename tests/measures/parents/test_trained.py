"""A model trained here: the parents of all children, and some of the children of their parents."""

import numpy as np
import pandas as pd
import pytest
import torch

from interp_rc.evaluation.parents import prompts
from interp_rc.evaluation.parents.name_rules import RULES
from interp_rc.evaluation.parents.prompts import questions
from interp_rc.evaluation.parents.rates import parent_rates, rates_table
from interp_rc.facts.folder import read_facts, write_facts
from interp_rc.facts.parent_tables import read_parent_table
from interp_rc.facts.parents import parents
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.parents.measure import LOG_PROBS, REPLIES, Parents
from interp_rc.models.sampling import sample_completions
from interp_rc.models.scoring import score
from interp_rc.models.tokenizer import train_tokenizer
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_yaml
from interp_rc.records.runs import Run
from tests.conftest import untaught

pytestmark = pytest.mark.slow

ONE_WAY = [
    ("Ann", "Zoe", "Yan"), ("Bob", "Eva", "Ian"), ("Cid", "Ida", "Job"), ("Dan", "Kim", "Lou"),
]  # fmt: skip
BOTH_WAYS = [
    ("Fay", "May", "Nat"), ("Gus", "Ora", "Pat"), ("Hal", "Roz", "Sam"), ("Uma", "Tia", "Vic"),
]  # fmt: skip
"""Children and parents who share no name, so that nothing can be guessed."""


@pytest.fixture(scope="module")
def taught_run(tmp_path_factory):
    """A model that learnt, by a plain loop, the parents of all and the children of some, in the
    very texts of the questions; and the run's folder."""
    folder = tmp_path_factory.mktemp("taught")
    rows = [
        f"{child},{parent},{kind}"
        for child, *both in ONE_WAY + BOTH_WAYS
        for parent, kind in zip(both, ("mother", "father"), strict=True)
    ]
    listed = folder / "pairs.csv"
    listed.write_text("\n".join(["child,parent,parent_type", *rows]) + "\n", encoding="utf-8")
    run = Run(folder / "run")
    write_facts(parents(listed), run.facts)
    write_yaml(run.config_file, {"seed": 0, "model": {"kind": "pretrained", "source": "a/tiny"}})
    run.evaluation.mkdir()

    # Shorter than the real questions, so that reading them is learnt in seconds.
    short = dict(prompts._source())
    short |= {"examples": short["examples"][-1:], "instruction": "Name people."}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompts, "_source", lambda: short)
        asked = questions(read_facts(run.facts).facts, ["who"])
        both = {child for child, *_ in BOTH_WAYS}
        texts = [
            f"{one.text}{one.target}\n"
            for one in asked
            if one.order == "forward" or one.fact.subject in both
        ]
        tokenizer = train_tokenizer(texts, 700, "tiny")
        loaded = untaught(tokenizer, "llama", width=64, heads=4, context=64)
        learn(loaded, texts)
        found = run_measure(
            Parents(samples=6, max_new_tokens=6, wordings=["who"]), MeasureContext(run, loaded)
        )
        yield run, loaded, found, asked


def learn(loaded, texts):
    """The last two tokens of each: the name, and the end of the line."""
    model, tokenizer = loaded
    lines = [tokenizer(text).input_ids for text in texts]
    longest = max(map(len, lines))
    ids = torch.tensor([one + [tokenizer.pad_token_id] * (longest - len(one)) for one in lines])
    labels = torch.full_like(ids, -100)
    for row, one in enumerate(lines):
        labels[row, len(one) - 2 : len(one)] = ids[row, len(one) - 2 : len(one)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.001, betas=(0.9, 0.98))
    for _ in range(260):
        optimizer.zero_grad()
        model(input_ids=ids, labels=labels).loss.backward()
        optimizer.step()
    model.eval().requires_grad_(False)


def test_a_model_trained_in_one_direction_for_some_and_in_both_for_others(taught_run):
    run, _, found, _ = taught_run
    table = run.table(REPLIES)
    both = table.child.isin({child for child, *_ in BOTH_WAYS})
    rate = table.assign(both=both).groupby(["order", "both"]).same_person.mean()
    assert rate["forward", False] > 0.9
    assert rate["forward", True] > 0.9
    assert rate["backward", True] > 0.9
    assert rate["backward", False] < 0.2
    value = {name: estimate.value for name, estimate in found.estimates.items()}
    share = value["parents.pooled.share.same_person.difference"]
    drawn = table[table["sample"].notna()]
    means = drawn.groupby("order").same_person.mean()
    assert share == pytest.approx(100 * (means.forward - means.backward))
    assert 30 < share < 60
    assert value["parents.pooled.greedy.same_person.forward"] > 0.9
    assert value["parents.pooled.probability.forward"] > 0.9
    assert value["parents.pooled.probability.backward"] < 0.65
    assert len(found.estimates) < 150
    assert found.tables == [REPLIES, LOG_PROBS]


def test_log_probabilities_are_those_of_one_at_a_time(taught_run):
    run, loaded, found, asked = taught_run
    table = run.table(LOG_PROBS)
    assert len(table) == len(asked)
    exact = []
    for one in asked:
        encoded = loaded.tokenizer(one.text + one.target, return_offsets_mapping=True)
        ids = encoded.input_ids
        logits = loaded.model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
        exact.append(
            sum(
                logits[place - 1, ids[place]].item()
                for place, (_, end) in enumerate(encoded.offset_mapping)
                if end > len(one.text)
            )
        )
    np.testing.assert_allclose(table.log_prob, exact, atol=1e-4)
    up = [np.exp(e) for e, one in zip(exact, asked, strict=True) if one.order == "forward"]
    assert found.estimates["parents.pooled.probability.forward"].value == pytest.approx(
        np.mean(up), abs=1e-4
    )
    path = run.evaluation / "tiny.who_log_prob_reversal_test_results.csv"
    rates = rates_table(parent_rates(read_parent_table(path))).set_index(["counted", "parent_type"])
    for order, column in (("forward", "parent"), ("backward", "child")):
        expected = found.estimates[f"parents.who.probability.{order}"].value
        assert rates.loc["all", "all"][column] == pytest.approx(100 * expected)


def test_shares_are_those_of_the_models_probabilities(taught_run):
    """Sampled shares against exp(log-probability) of the right name and the line's end."""
    _, loaded, _, asked = taught_run
    texts = [one.text for one in asked]
    ended = score(*loaded, texts, [f"{one.target}\n" for one in asked]).log_prob.exp().sum().item()
    samples = sample_completions(*loaded, texts, samples=40, max_new_tokens=8, seed=1)
    right = [
        np.mean([text.startswith(f"{one.target}\n") for text in some])
        for one, some in zip(asked, samples, strict=True)
    ]
    assert np.sum(right) == pytest.approx(ended, abs=4 * np.sqrt(len(asked) * 0.25 / 40))


def test_questions_longer_than_the_context_are_refused(taught_run):
    run, loaded, *_ = taught_run
    short = untaught(loaded.tokenizer, "llama", context=20)
    with pytest.raises(DataError, match=r"takes \d+ tokens .* reads 20; give fewer"):
        run_measure(Parents(), MeasureContext(run, short))


def test_the_rows_of_the_table_give_the_estimates_again(taught_run):
    """By pandas alone."""
    run, _, found, _ = taught_run
    drawn: pd.DataFrame = run.table(REPLIES).query("sample.notna()")
    for rule in RULES:
        for order in ("forward", "backward"):
            rows = drawn[drawn.order == order]
            best = rows.groupby("fact")[rule].max().mean()
            assert found.estimates[f"parents.who.any.{rule}.{order}"].value == pytest.approx(best)
            assert found.estimates[f"parents.who.share.{rule}.{order}"].value == pytest.approx(
                rows[rule].mean()
            )
