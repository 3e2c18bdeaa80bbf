"""One vector a text: the mean of the last layer's states over its tokens."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.models.evaluating import evaluating
from interp_rc.models.load import Loaded
from interp_rc.models.tokenizer import encode


@torch.inference_mode()
def pooled_states(
    loaded: Loaded, texts: Sequence[str], *, batch_size: int = 64
) -> Float[Tensor, "text d_model"]:
    """On the CPU, in float32. Padding is on the right, where a causal model does not look back
    from, and counts in no mean."""
    encoded = [ids for ids, _ in encode(loaded.tokenizer, texts)]
    device = loaded.model.device
    means = []
    for first in range(0, len(encoded), batch_size):
        chosen = encoded[first : first + batch_size]
        ids = torch.zeros(len(chosen), max(map(len, chosen)), dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(chosen):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = torch.tensor(tokens), 1
        with evaluating(loaded.model):
            states = loaded.model(
                input_ids=ids.to(device), attention_mask=mask.to(device), output_hidden_states=True
            ).hidden_states[-1]
        weights = (mask / mask.sum(1, keepdim=True)).to(device)
        means.append((states.float() * weights[..., None]).sum(1).cpu())
    return torch.cat(means)
