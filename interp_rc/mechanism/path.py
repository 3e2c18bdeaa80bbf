"""Path patching: what one site does through another, straight along the residual stream."""

from collections.abc import Sequence

from interp_rc.engine.effects import Effects
from interp_rc.engine.interventions import FromPrompt
from interp_rc.engine.metrics import Metric
from interp_rc.engine.path_planning import Pair, PathBudget, check_paths, path_patches
from interp_rc.engine.path_received import received_of, send
from interp_rc.engine.planning import check_sites, places_of
from interp_rc.engine.sites import Site
from interp_rc.engine.sweep import Batch, Into, Sweep, check, check_differ, read_cases
from interp_rc.engine.swept import Plan, effects_of, swept
from interp_rc.mechanism.patching import is_one_token, whole_difference
from interp_rc.models.adapters.adapter import Adapter
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
    pairs = [Pair(sender, receiver) for sender in senders for receiver in receivers]
    check(contrasts, pairs, metric, into)
    adapter = Adapter(model.model)
    check_sites([*senders, *receivers], adapter, FromPrompt())
    check_paths(pairs, adapter.parts)
    cases = read_cases(model, model, contrasts, metric)
    check_differ(cases)
    if metric == "logit_difference" and not all(is_one_token(case) for case in cases):
        return whole_difference(
            contrasts,
            lambda some: path_patch(model, some, senders, receivers, into=into, memory=memory),
        )
    runs = adapter.by_layers
    given = {site.place for site in senders}
    kept = given.union(*places_of(receivers, adapter, FromPrompt()))
    sweep = Sweep(cases, runs, runs, metric, into, given, kept, len(pairs), memory)
    budget = PathBudget(sweep, senders, receivers)

    def plan(batch: Batch) -> Plan:
        sent = send(sweep, batch, senders)
        patches, zeros = path_patches(sweep, batch, pairs)
        return Plan(patches, zeros, received_of(runs, batch.taking, sent, len(receivers), budget))

    done = swept(sweep, plan, "path patching", budget)
    effects = effects_of(cases, [pair.receiver for pair in pairs], metric, into, done)
    names = [
        pair.sender.name
        for number in range(len(cases))
        for n, pair in enumerate(pairs)
        if (number, n) in done.found
    ]
    return Effects(effects.table.assign(sender=names), effects.baselines)
