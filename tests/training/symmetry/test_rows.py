"""Training some rows of a word embedding moves what training all of them moves, and no more."""

from contextlib import nullcontext

import pytest
import torch
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from interp_rc.training.symmetry.rows import only_rows_of

SIZE = {
    "vocab_size": 40,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "pad_token_id": 1,  # RoBERTa counts positions from it
    "max_position_embeddings": 16,
}
IDS = torch.tensor([[5, 6, 7, 5], [5, 9, 1, 1], [30, 6, 5, 1]])  # never 8, say


def body(make, config):
    torch.manual_seed(3)
    return make(config(**SIZE)).train()


def steps(model, count, ids=IDS):
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    torch.manual_seed(4)
    for step in range(count):
        rows = ids[step % 2 :]  # some tokens miss a step, and move on by their moments
        states = model(input_ids=rows, attention_mask=(rows != 1).long()).last_hidden_state
        adam.zero_grad()
        states[..., 0].square().sum().backward()
        adam.step()


@pytest.mark.parametrize(
    ("make", "config"), [(BertModel, BertConfig), (RobertaModel, RobertaConfig)]
)
def test_all_weights_are_the_same_bit_by_bit(make, config):
    with torch.random.fork_rng(devices=[]):
        found = []
        for around in (nullcontext, only_rows_of):
            model = body(make, config)
            with around(model, IDS) if around is only_rows_of else nullcontext():
                steps(model, 5)
            found.append(model.state_dict())
        start = body(make, config).state_dict()["embeddings.word_embeddings.weight"]
    whole, rows = found
    assert whole.keys() == rows.keys()
    assert all(torch.equal(whole[name], rows[name]) for name in whole)
    moved = (rows["embeddings.word_embeddings.weight"] != start).any(1).nonzero().flatten()
    assert moved.tolist() == [5, 6, 7, 9, 30]


def test_the_whole_embedding_is_back_after_a_fault():
    with torch.random.fork_rng(devices=[]):
        model = body(BertModel, BertConfig)
    whole = model.get_input_embeddings()
    with pytest.raises(KeyboardInterrupt), only_rows_of(model, IDS):
        assert model.get_input_embeddings() is not whole
        raise KeyboardInterrupt
    assert model.get_input_embeddings() is whole


def test_a_token_that_was_not_announced_is_an_error():
    with torch.random.fork_rng(devices=[]):
        model = body(BertModel, BertConfig)
    with pytest.raises(IndexError), only_rows_of(model, IDS):
        model(input_ids=torch.tensor([[8]]))
