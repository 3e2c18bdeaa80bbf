"""What a model says of a fact: as told, in other words, of other facts, and the other way round."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch

from interp_rc.engine.inputs import Input, logits_of, read_inputs, says_targets, target_log_probs
from interp_rc.evaluation.queries import OTHER_ORDER
from interp_rc.measures.editing.cases import ASKED, Case, Known
from interp_rc.models.batching import batch_by_length
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Order
from interp_rc.records.seeds import generator

What = Literal[
    "efficacy",
    "paraphrase",
    "old",
    "old_control",
    "specificity",
    "reverse",
    "reverse_control",
    "old_reverse",
    "old_reverse_control",
]
NAMES = 8  # of other facts, that A is compared with
LED = 4  # other facts' answers (or names), that the old one is compared with
AT_ONCE = 4000  # tokens


class Answered(NamedTuple):
    """Means over prompts: log p(target) [nat]; the share in which greedy decoding says it, and in
    which it is likelier than the old target; its rank among the names it is compared with."""

    log_prob: float
    said: float
    preferred: float | None = None
    rank: float | None = None


@dataclass(frozen=True, slots=True)
class Questions:
    """All that is asked about a case, as token ids.

    `efficacy`: the new answer B' in templates that the edit is written in; `paraphrase`: in
    others, as all that follows. `old`: the old answer B. `specificity`: other facts' own answers.
    `reverse`: from B', is it A? `reverse_control`: from B', the names of `NAMES` facts drawn that
    are neither A nor the one whose answer B' was. `old_reverse`: from B, is it A?
    `old_control`: after A, `LED` other facts' answers, neither B nor B'; `old_reverse_control`:
    after B, `LED` other names, likewise. What is told is near certain, so that its own
    log-probability hides what it loses to others.
    """

    case: Case
    whats: np.ndarray
    inputs: list[Input]

    def about(self, *whats: str) -> "Questions":
        """Some of them."""
        kept = np.isin(self.whats, whats)
        inputs = [one for one, keep in zip(self.inputs, kept, strict=True) if keep]
        return Questions(self.case, self.whats[kept], inputs)


def questions(model: Loaded, known: Known, case: Case) -> Questions:
    """Of one case; for models with the same tokenizer they are the same."""
    whats, prompts, targets = zip(*_asked(known, case), strict=True)
    return Questions(case, np.array(whats), read_inputs(model, prompts, targets))


def _asked(known: Known, case: Case) -> Iterator[tuple[str, str, str]]:
    def those(
        what: str, source: str, answer: str, asked: tuple[Order, Sequence[str]]
    ) -> Iterator[tuple[str, str, str]]:
        order, templates = asked
        for template in templates:
            prompt = known.about(source, order, template).prompt
            yield what, prompt, known.about(answer, order, template).target

    other = OTHER_ORDER[case.order]
    written = case.order, known.writing[case.order][:ASKED]
    told, back = (case.order, known.asking[case.order]), (other, known.asking[other])
    yield from those("efficacy", case.fact, case.other, written)
    yield from those("old_written", case.fact, case.fact, written)
    yield from those("paraphrase", case.fact, case.other, told)
    yield from those("old", case.fact, case.fact, told)
    for one in case.others:
        yield from those("specificity", one, one, (case.order, told[1][:1]))
    yield from those("reverse", case.other, case.fact, back)
    yield from those("old_reverse", case.fact, case.fact, back)
    for what, source, (order, templates), most in (
        ("reverse_control", case.other, back, NAMES),
        ("old_control", case.fact, told, LED),
        ("old_reverse_control", case.fact, back, LED),
    ):
        for template in templates:
            query = known.about(source, order, template)
            mine = {known.about(fact, order, template).target for fact in (case.fact, case.other)}
            names = sorted(set(query.candidates) - mine)
            for name in generator(0, query.id).sample(names, min(most, len(names))):
                yield what, query.prompt, name


def ask(model: Loaded, some: Questions) -> dict[str, Answered]:
    """In one forward pass, as the model is now. What was not asked is left out."""
    values, said = _scored(model, some.inputs)
    found = {
        str(what): Answered(
            float(values[some.whats == what].mean()), float(said[some.whats == what].mean())
        )
        for what in dict.fromkeys(some.whats)
    }
    changed = some.case.fact != some.case.other
    for new, old in (("efficacy", "old_written"), ("paraphrase", "old")):
        if changed and new in found and old in found:
            likelier = values[some.whats == new] > values[some.whats == old]
            found[new] = found[new]._replace(preferred=float(likelier.mean()))
    found.pop("old_written", None)
    if "reverse_control" in found:
        own = values[some.whats == "reverse"]
        names = values[some.whats == "reverse_control"].reshape(len(own), -1)
        rank = float(1 + (names > own[:, None]).sum(1).mean())
        found["reverse"] = found["reverse"]._replace(rank=rank)
    return found


@torch.no_grad()
def _scored(model: Loaded, inputs: Sequence[Input]) -> tuple[np.ndarray, np.ndarray]:
    """Log-probability of every target [nat], and whether greedy decoding says it."""
    values, said = np.zeros(len(inputs)), np.zeros(len(inputs), dtype=bool)
    lengths = [len(one.ids) for one in inputs]

    def fits(some: Sequence[int]) -> bool:
        return len(some) * lengths[some[-1]] <= AT_ONCE

    for numbers in batch_by_length(model.model, lengths, fits):
        some = [inputs[number] for number in numbers]
        logits = logits_of(model.model, some)
        values[numbers] = target_log_probs(logits, some).numpy()
        said[numbers] = says_targets(logits, some).numpy()
    return values, said
