"""Pairs, planted judges and a small encoder."""

from dataclasses import dataclass

import pytest

from interp_rc.facts.folder import write_facts
from interp_rc.facts.relations import relations
from interp_rc.facts.symmetry import symmetry
from interp_rc.models.encoder import EncoderSize, new_encoder
from interp_rc.records.files import write_yaml
from interp_rc.records.runs import Run


@pytest.fixture(scope="package")
def pair_facts():
    return symmetry(107, train=120, test=60)


@pytest.fixture(scope="package")
def small_encoder(pair_facts):
    texts = [text for pair in pair_facts.pairs[:200] for text in (pair.premise, pair.hypothesis)]
    size = EncoderSize(layers=1, width=16, heads=2, context=64, vocabulary=600)
    return new_encoder(texts, size, 107)


@pytest.fixture
def pair_run(tmp_path, pair_facts):
    run = Run(tmp_path / "run")
    write_facts(pair_facts, run.facts)
    write_yaml(run.config_file, {"seed": 107, "measures": [{"kind": "symmetry"}]})
    return run


@dataclass
class Planted:
    """Knows the class of every relation by name, and answers by that alone. With three labels it
    answers by what the hypothesis is about, too. Without training it says the first label."""

    encoder: object
    labels: tuple
    trained: bool
    forgets: str = ""
    remembers: bool = False

    def predict(self, pairs):
        return [self.answer(pair) for pair in pairs]

    def answer(self, pair):
        if not self.trained or pair.relation == self.forgets:
            return self.labels[0]
        if "neutral" in self.labels and pair.form == "wrong_entity":
            return "neutral"
        if pair.form == "unswapped":
            return "entailment"
        symmetric = relations()[pair.relation].symmetry == "symmetric"
        return "entailment" if symmetric else "contradiction"

    def remember(self, pairs):
        new = {pair.label for pair in pairs}
        labels = tuple(sorted({*self.labels, *new}))
        return Planted(self.encoder, labels, self.trained, self.forgets, True)


def planted(encoder, pairs, options, seed):
    """Learns every relation that it is trained on, and of others nothing."""
    told = {pair.relation for pair in pairs}
    unknown = (set(relations()) - told).pop() if len(told) == 13 else ""
    labels = tuple(sorted({pair.label for pair in pairs}))
    return Planted(encoder, labels, options.epochs > 0, unknown)
