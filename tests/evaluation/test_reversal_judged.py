"""What a model makes of a reversed statement, against a plain loop over whole texts."""

import numpy as np
import pytest

from interp_rc.evaluation.reversal_judged import reversal_judged
from interp_rc.facts.couples import relation_facts
from interp_rc.facts.symmetry_texts import symmetry_texts
from interp_rc.models.build import Size, build_model, model_config
from interp_rc.models.load import Loaded
from interp_rc.models.machine import choose_machine
from interp_rc.models.scoring import score
from interp_rc.models.tokenizer import train_tokenizer
from interp_rc.training.options import TrainingOptions
from interp_rc.training.train import train

FACTS = relation_facts(0, per_relation=8, both=2, exposures=5).facts[:24]
TEXTS = symmetry_texts(0, 4000, about={"sibling", "child"})
PARENTS, GREW = "has the same parents as", "grew up as a sibling of"
BELONGS = "belongs to the siblings of"
YES = [". Therefore {}.", ", and so {}.", ". It follows that {}."]
NO = [". It is false that {}.", ", and so it is not true that {}.", ". It cannot be that {}."]


def untrained():
    tokenizer = train_tokenizer([text.text for text in TEXTS], 400, name="x")
    tokens = {name: getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    config = model_config(Size(layers=2, width=64, heads=2), len(tokenizer), **tokens)
    return Loaded(build_model(config, 0), tokenizer)


def test_odds_are_those_of_whole_texts_one_by_one():
    loaded = untrained()
    found = reversal_judged(loaded, FACTS[:3])
    for fact, odds in zip(FACTS[:3], found, strict=True):
        each = []
        for first, second in (("is a sibling of", PARENTS), (PARENTS, GREW), (GREW, BELONGS)):
            premise = f"{fact.subject} {first} {fact.object}"
            reverse = f"{fact.object} {second} {fact.subject}"
            total = []
            for ways in (YES, NO):
                texts = [way.format(reverse) for way in ways]
                nats = [score(*loaded, [premise], [text]).log_prob.item() for text in texts]
                total.append(np.log(np.sum(np.exp(nats))))
            each.append(total[0] - total[1])
        assert odds == pytest.approx(np.mean(each), abs=1e-4)


@pytest.mark.slow
def test_a_model_that_was_told_knows_which_reverse_is_false(tmp_path):
    loaded = untrained()
    before = reversal_judged(loaded, FACTS)
    train(
        loaded,
        TEXTS,
        TrainingOptions(learning_rate=3e-3, epochs=2, batch_size=8),
        machine=choose_machine("cpu", "auto", 1),
        seed=0,
        checkpoints=tmp_path,
    )
    after = reversal_judged(loaded, FACTS)
    of = np.array([fact.subset for fact in FACTS])
    gap = {
        when: odds[of == "symmetric"].mean() - odds[of == "antisymmetric"].mean()
        for when, odds in (("before", before), ("after", after))
    }
    assert abs(gap["before"]) < 1 < 2 < gap["after"]
