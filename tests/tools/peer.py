"""TransformerLens around a copy of a model, where it is installed."""

import copy

import pytest
import torch
from transformers import AutoTokenizer

from interp_rc.models.load import Loaded


def in_double(loaded):
    return Loaded(copy.deepcopy(loaded.model).double(), loaded.tokenizer)


def bridged(loaded, folder):
    bridges = pytest.importorskip("transformer_lens.model_bridge")
    loaded.tokenizer.save_pretrained(folder)
    loaded.model.config.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)  # it is loaded again by its name
    return bridges.TransformerBridge.boot_transformers(
        "tiny", hf_model=copy.deepcopy(loaded.model), tokenizer=tokenizer, dtype=torch.float64
    )
