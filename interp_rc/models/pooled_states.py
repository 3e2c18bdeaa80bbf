"""One vector a text: the mean of the last layer's states over its tokens."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.models.batching import at_most, batch_by_length, pad
from interp_rc.models.evaluating import evaluating
from interp_rc.models.load import Loaded
from interp_rc.models.tokenizer import encode


@torch.inference_mode()
def pooled_states(
    loaded: Loaded, texts: Sequence[str], *, batch_size: int = 64
) -> Float[Tensor, "text d_model"]:
    """On the CPU, in float32. Padding is on the right, where a causal model does not look back
    from, and counts in no mean."""
    model = loaded.model
    encoded = [ids for ids, _ in encode(loaded.tokenizer, texts)]
    means: dict[int, Tensor] = {}
    for numbers in batch_by_length(model, [len(ids) for ids in encoded], at_most(batch_size)):
        ids, mask = pad([encoded[n] for n in numbers], model.device)
        with evaluating(model):
            states = model(
                input_ids=ids, attention_mask=mask, output_hidden_states=True
            ).hidden_states[-1]
        weights = mask / mask.sum(1, keepdim=True)
        means |= zip(numbers, (states.float() * weights[..., None]).sum(1).cpu(), strict=True)
    return torch.stack([means[n] for n in range(len(texts))])
