"""Log-probabilities of names after the real questions, by a plain loop over families."""

import copy

import pytest
import torch

from interp_rc.evaluation.parents.prompts import questions
from interp_rc.facts.parents import parents
from interp_rc.measures.parents.measure import check_lengths
from interp_rc.measures.parents.tables import log_prob_table
from interp_rc.models.load import Loaded
from interp_rc.models.scoring import score
from interp_rc.models.tokenizer import encode
from interp_rc.records.errors import DataError
from tests.conftest import untaught


@pytest.fixture(scope="module")
def asked():
    return questions(parents().facts[5:12], ["complete"])  # accents, hyphens, lengths


def alone(loaded, question):
    """The whole text read once; every token that ends after the prompt counts, the last one too,
    and none is padding."""
    encoded = loaded.tokenizer(question.text + question.target, return_offsets_mapping=True)
    ids = torch.tensor([encoded.input_ids])
    with torch.no_grad():
        logits = loaded.model(input_ids=ids, use_cache=False).logits[0].log_softmax(-1)
    places = [p for p, (_, end) in enumerate(encoded.offset_mapping) if end > len(question.text)]
    assert places[-1] == ids.shape[1] - 1
    return sum(logits[place - 1, ids[0, place]].item() for place in places), len(places)


@pytest.mark.parametrize("side", [None, "left", "right"])
@pytest.mark.parametrize("shape", ["gpt2", "llama", "gpt_neox"])
def test_one_at_a_time(tokenizer, asked, shape, side):
    model = untaught(tokenizer, shape, context=768).model.double()
    own = copy.deepcopy(tokenizer)
    if side is None:
        own.pad_token = None  # as of models that were published without one
    else:
        own.padding_side = side
    loaded = Loaded(model, own)
    scores = score(*loaded, [q.text for q in asked], [q.target for q in asked], batch_size=5)
    table = log_prob_table(asked, scores, model="base", seed=0)
    expected = [alone(loaded, question) for question in asked]
    assert table.log_prob.tolist() == pytest.approx([nats for nats, _ in expected], abs=1e-8)
    assert table.n_tokens.tolist() == [count for _, count in expected]
    assert len(set(table.n_tokens)) > 2


def test_what_is_too_long_is_refused_before_anything_is_asked(tokenizer, asked):
    longest = max(
        max(
            len(encode(tokenizer, [q.text + q.target])[0][0]),
            len(encode(tokenizer, [q.text])[0][0]) + 8 - 1,
        )
        for q in asked
    )
    check_lengths(untaught(tokenizer, "llama", context=longest), asked, 8)
    with pytest.raises(DataError, match=rf"takes {longest} tokens .* reads {longest - 1}"):
        check_lengths(untaught(tokenizer, "llama", context=longest - 1), asked, 8)
