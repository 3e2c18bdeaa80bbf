"""An encoder of the same shape that has learnt nothing: what words alone give."""

import torch

from interp_rc.models.encoder import Encoder
from interp_rc.records.seeds import derive_seed


def untrained(encoder: Encoder, seed: int) -> Encoder:
    """A copy with new weights, drawn as Transformers draws them; tokenizer and pooling as before.

    The global generator is left as it was.
    """
    other = encoder.copy()
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(derive_seed(seed, "weights"))
        fresh = type(encoder.body)(encoder.body.config)
    other.body.load_state_dict(fresh.state_dict())
    return Encoder(other.model.eval(), f"{encoder.source} (untrained)", encoder.bf16)
