"""What a model makes of a reversed statement, against a plain loop over whole texts."""

import numpy as np
import pytest

from interp_rc.facts.symmetry_texts import symmetry_texts
from interp_rc.measures.symmetric_reversal.reversal_judged import (
    STATEMENTS,
    reversal_judged,
    reversed_pairs,
)
from interp_rc.models.build import Size, build_model, model_config
from interp_rc.models.load import Loaded
from interp_rc.models.machine import choose_machine
from interp_rc.models.scoring import score
from interp_rc.models.tokenizer import train_tokenizer
from interp_rc.training.options import TrainingOptions
from interp_rc.training.train import train

PAIRS = [pair for name in ("sibling", "child") for pair in reversed_pairs(7, name)[:20]]
TEXTS = symmetry_texts(0, 2500, about={"sibling", "child"})
PLACES = ("subject", "object")
YES = [". Therefore {}.", ", and so {}.", ". It follows that {}."]
NO = [". It is false that {}.", ", and so it is not true that {}.", ". It cannot be that {}."]


def untrained():
    tokenizer = train_tokenizer([text.text for text in TEXTS], 400, name="x")
    tokens = {name: getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    config = model_config(Size(layers=2, width=64, heads=2), len(tokenizer), **tokens)
    return Loaded(build_model(config, 0), tokenizer)


def test_statements_are_reversed_and_their_entities_in_no_text():
    pairs = reversed_pairs(0, "child")
    assert len(pairs) == STATEMENTS
    texts = "\n".join(text.text for text in TEXTS)
    for pair in pairs:
        told = [pair.premise[slice(*pair.spans[f"premise.{one}"][0])] for one in PLACES]
        asked = [pair.hypothesis[slice(*pair.spans[f"hypothesis.{one}"][0])] for one in PLACES]
        assert told == asked[::-1]
        assert not any(entity in texts for entity in told)


def test_odds_are_those_of_whole_texts_one_by_one():
    loaded = untrained()
    found = reversal_judged(loaded, PAIRS[:5])
    for pair, odds in zip(PAIRS[:5], found, strict=True):
        total = []
        for ways in (YES, NO):
            texts = [way.format(pair.hypothesis) for way in ways]
            nats = [score(*loaded, [pair.premise], [text]).log_prob.item() for text in texts]
            total.append(np.log(np.sum(np.exp(nats))))
        assert odds == pytest.approx(total[0] - total[1], abs=1e-4)


@pytest.mark.slow
def test_a_model_that_was_told_knows_which_reverse_is_false(tmp_path):
    loaded = untrained()
    before = reversal_judged(loaded, PAIRS)
    train(
        loaded,
        TEXTS,
        TrainingOptions(learning_rate=3e-3, epochs=2, batch_size=8),
        machine=choose_machine("cpu", "auto", 1),
        seed=0,
        checkpoints=tmp_path,
    )
    after = reversal_judged(loaded, PAIRS)
    of = np.array([pair.relation for pair in PAIRS])
    gap = {
        when: odds[of == "sibling"].mean() - odds[of == "child"].mean()
        for when, odds in (("before", before), ("after", after))
    }
    assert abs(gap["before"]) < 1 < 2 < gap["after"]
