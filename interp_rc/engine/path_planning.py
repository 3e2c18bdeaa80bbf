"""Which paths there are from one site to another, and what must be computed for them."""

from collections.abc import Collection, Sequence

import torch

from interp_rc.engine.cases import Batch, BothRuns, Case, in_itself
from interp_rc.engine.interventions import FromPrompt, FromSender, Patch
from interp_rc.engine.memory import Budget, default_memory
from interp_rc.engine.planning import structural_zero
from interp_rc.engine.sites import Site, Tokens, tokens_of
from interp_rc.engine.steps import ChangedRun, Step
from interp_rc.models.adapters.parts import Component, Parts, Place
from interp_rc.models.machine import is_small
from interp_rc.records.errors import ConfigError, ModelError

ATTENDING: tuple[Component, ...] = ("z", "attn_out")
# Before attention, between attention and MLP, after the MLP: where in its layer a component first
# stands in the stream, and where it reads it.
WRITES: dict[str, int] = {
    "resid_pre": 0,
    "z": 1,
    "attn_out": 1,
    "resid_mid": 1,
    "mlp_post": 2,
    "mlp_out": 2,
    "resid_post": 2,
}
READS: dict[str, int] = {
    "resid_pre": 0,
    "z": 0,
    "attn_out": 0,
    "resid_mid": 1,
    "mlp_post": 1,
    "mlp_out": 1,
    "resid_post": 2,
}


def check_paths(patches: Sequence[Patch], parts: Parts) -> None:
    """Raises ConfigError for a site that no stream connects with its sender, ModelError where there
    is no stream."""
    pairs = [(value.sender, site) for site, value in patches if isinstance(value, FromSender)]
    if not pairs:
        return
    if any(block.mid_norm is not None or block.end_norm is not None for block in parts.blocks):
        raise ModelError(
            "this model norms its stream after each sum, so it is not the sum of what was added "
            "before, and no path in it is direct; patch() works"
        )
    for site in {site for pair in pairs for site in pair}:
        if site.is_module:
            raise ConfigError(
                f"site {site.name}: no path joins modules by their names; patch() them"
            )
        if site.component == "pattern" or site.window > 1 or site.direction is not None:
            raise ConfigError(
                f"site {site.name}: paths join heads, neurons and outputs of one layer and the "
                "stream; name no pattern, window or direction"
            )
    for sender, receiver in pairs:
        parallel = parts.blocks[receiver.place.layer].parallel
        reads = READS[receiver.component]
        if parallel and receiver.component in ("mlp_post", "mlp_out"):
            reads = 0
        written = 3 * sender.place.layer + WRITES[sender.component]
        if sender.place == receiver.place or written > 3 * receiver.place.layer + reads:
            raise ConfigError(
                f"nothing goes from {sender.name} along the stream to {receiver.name}, which reads "
                "it before, or elsewhere; name a later receiver"
            )


def ends_of(patches: Sequence[Patch]) -> tuple[list[Site], list[Site]]:
    """Senders and receivers of the patches that have them, each once."""
    pairs = [(value.sender, site) for site, value in patches if isinstance(value, FromSender)]
    senders = dict.fromkeys(sender for sender, _ in pairs)
    return list(senders), list(dict.fromkeys(receiver for _, receiver in pairs))


def sent_tokens(both: BothRuns, case: Case, sender: Site) -> Tokens:
    """Where the sender is read and written; empty if it cannot differ, or is not there."""
    tokens = tokens_of(case.contrast, sender, case.clean.offsets, case.corrupted.offsets)
    steps = [Step(sender.place, [a for a, _ in tokens], [b for _, b in tokens])]
    if not tokens or structural_zero(both, case, steps, tokens, FromPrompt()):
        return []
    return tokens if both.into == "corrupted" else [(write, read) for read, write in tokens]


def path_runs(
    both: BothRuns, batch: Batch, patches: Sequence[Patch]
) -> tuple[list[ChangedRun], list[ChangedRun]]:
    """Of the patches with a sender: what is to be computed of a batch, by the receivers' places,
    and what changes nothing."""
    changed: list[ChangedRun] = []
    zeros: list[ChangedRun] = []
    senders, receivers = ends_of(patches)
    for base, number in enumerate(batch.numbers):
        case = both.cases[number]
        sent = {site: [write for _, write in sent_tokens(both, case, site)] for site in senders}
        into = {site: _receiving(both, case, site) for site in receivers}
        for n, (receiver, value) in enumerate(patches):
            if not isinstance(value, FromSender):
                continue
            sender, tokens = value.sender, into[receiver]
            if not tokens or not tokens_of(
                case.contrast, sender, case.clean.offsets, case.corrupted.offsets
            ):
                continue
            steps = [Step(receiver.place, tokens, tokens, receiver.unit)]
            reached = _reached(both, case, receiver.place, sent[sender], tokens)
            (changed if reached else zeros).append(ChangedRun((number, n), base, steps))
    return sorted(changed, key=lambda run: run.steps[0].place), zeros


def _receiving(both: BothRuns, case: Case, receiver: Site) -> list[int]:
    """All of the prompt's own tokens: they need no partner in the other prompt."""
    read = case.taking(both.into)
    own = in_itself(case.contrast, both.into)
    return [t for t, _ in tokens_of(own, receiver, read.offsets, read.offsets)]


def _reached(
    both: BothRuns, case: Case, place: Place, sent: Sequence[int], tokens: Sequence[int]
) -> bool:
    """Whether any of the receiver's tokens may change, and with it what is measured."""
    if not sent:
        return False
    changed = [t for t in tokens if t in sent or (place.component in ATTENDING and t > min(sent))]
    is_last = place.layer == both.taking.layers - 1 and place.component != "resid_pre"
    reads = case.taking(both.into).reads
    return bool(set(changed) & set(reads) if is_last else changed)


class PathBudget(Budget):
    """Counts what senders add and receivers become among what is cached."""

    def __init__(self, both: BothRuns, senders: Sequence[Site], receivers: Sequence[Site]) -> None:
        model = both.taking.model
        memory = default_memory(both.taking.home) if both.memory is None else both.memory
        super().__init__(both.taking, memory, torch.get_num_threads() if is_small(model) else 1)
        self.senders, self.receivers = senders, receivers

    def of_pair(
        self, positions: int, given: Collection[Place], kept: Collection[Place], sites: int
    ) -> int:
        wide = max(self.width, self.query, self.neurons)
        sent = _tokens(self.senders, positions) * self.width
        received = len(self.senders) * positions * wide
        put = len(self.senders) * _tokens(self.receivers, positions) * self.width
        return super().of_pair(positions, given, kept, sites) + self.item * (sent + received + put)


def _tokens(sites: Sequence[Site], positions: int) -> int:
    return sum(positions if site.token == "all" else 1 for site in sites)
