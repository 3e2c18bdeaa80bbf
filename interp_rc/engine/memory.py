"""How much may be computed at once: from the memory that a sweep may use."""

from collections.abc import Collection
from typing import Protocol

import psutil
import torch
from transformers import PreTrainedModel

from interp_rc.models.adapters.parts import Place
from interp_rc.models.dimensions import heads_of, neurons_of, text_config, width_of

ON_CPU = 2 * 2**30  # bytes; more makes no core faster
TOKENS = {"cpu": 2000}  # of a wave, at the most; so too
MOST = 2**17
PATCH = 3000  # bytes of a patch and its row, besides its values


def default_memory(device: torch.device) -> int:
    """Half of what is free on the device, in bytes; on a CPU 2 GiB at the most."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] // 2
    return min(psutil.virtual_memory().available // 2, ON_CPU)


class Runs(Protocol):
    """Whatever runs a model's layers."""

    model: PreTrainedModel
    home: torch.device

    @property
    def layers(self) -> int: ...


class Budget:
    """What fits into `memory` bytes: half for cached prompts, half for waves under way."""

    def __init__(self, layers: Runs, memory: int, at_once: int) -> None:
        config = text_config(layers.model)
        self.item = layers.model.dtype.itemsize
        self.width = width_of(layers.model)
        self.heads = heads_of(layers.model)
        # Read from the dict: Gemma 4 names one for some layers, and its attribute then raises.
        head = config.to_dict().get("head_dim") or self.width // max(self.heads, 1)
        shared = getattr(config, "num_key_value_heads", None) or self.heads
        self.query, self.key = self.heads * head, shared * head
        self.neurons = neurons_of(layers.model)
        self.layers = layers.layers
        self.device = layers.home
        self.capped = getattr(config, "attn_logit_softcapping", None) is not None
        self.cached, self.wave = memory // 2, memory // 2 // at_once

    @property
    def unembedded(self) -> int:
        """Numbers: the metric makes two more of each."""
        return self.wave // 16

    @property
    def tokens(self) -> int:
        return TOKENS.get(self.device.type, MOST)

    def of_pair(
        self, positions: int, given: Collection[Place], kept: Collection[Place], sites: int
    ) -> int:
        """Bytes that both prompts of a contrast take once they are cached, with what is put at
        each site."""
        stream = 2 * ((self.layers + 1) * self.width + 2 * self.layers * self.key)
        places = sum(self._wide(place, positions) for place in (*given, *kept))
        return self.item * positions * (stream + places) + sites * (self.item * self.width + PATCH)

    def _wide(self, place: Place, positions: int) -> int:
        match place.component:
            case "resid_pre" | "resid_post":  # the stream is cached anyway
                return 0
            case "pattern":
                return self.heads * positions
            case "z":
                return self.query
            case "mlp_post":
                return self.neurons
        return self.width

    def of_row(self, slots: int, positions: int) -> int:
        """Bytes at the peak of a layer for a row of `slots` tokens of a prompt."""
        token = 5 * self.width + 3 * max(self.query + self.key, self.neurons)
        scores = slots * positions * (3 * self.heads if self.capped else 2)
        return self.item * (slots * token + 2 * positions * self.key + scores)
