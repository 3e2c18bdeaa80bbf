"""Path patching: what one site does through another, straight along the residual stream."""

from collections.abc import Sequence

from interp_rc.engine.effects import Effects
from interp_rc.engine.interventions import FromSender, Patch
from interp_rc.engine.names import Into, Metric
from interp_rc.engine.run_patches import run_patches
from interp_rc.engine.sites import Site
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Contrast


def path_patch(
    model: Loaded,
    contrasts: Sequence[Contrast],
    senders: Sequence[Site],
    receivers: Sequence[Site],
    *,
    metric: Metric = "log_prob",
    into: Into = "corrupted",
    memory: int | None = None,
) -> Effects:
    """Patch every sender of every contrast, letting it reach one receiver only, and that directly.

    The sender's activation is exchanged, as by `patch`; all other attention and MLP outputs up to
    the receiver stay as in the run `into`; then the receiver's activation, as it has become, is put
    into that run, and all behind it follows (Wang et al. 2022, arXiv:2211.00593; Goldowsky-Dill et
    al. 2023, arXiv:2304.05969). The last layer's `resid_post` as a receiver gives the direct effect
    on the logits. The table describes receivers as `patch` describes sites, with their tokens in
    the prompt `into`; a column `sender` names the other end.

    Raises what `patch` raises; ConfigError for a sender whose output no stream carries to the
    receiver, for patterns, windows and directions; ModelError for a stream that is normed after
    each sum (BERT), because it is none.
    """
    patches = [Patch(receiver, FromSender(sender)) for sender in senders for receiver in receivers]
    return run_patches(
        model, contrasts, patches, metric, into=into, memory=memory, label="path patching"
    )
