"""Which pairs are trained on together: shuffled by the seed, anew each epoch."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from interp_rc.records.seeds import generator


def batches(
    own: Sequence[int], size: int, *, mixed: bool, seed: int, epoch: int
) -> Iterator[list[int]]:
    """Places in `own`, each once; `own` holds the labels.

    `mixed` is for methods that compare the pairs of a batch: each label is spread evenly over the
    epoch, so that a batch holds labels in about the shares that all pairs have them in, and a last
    batch of one pair, which has none to be compared with, joins the one before.
    """
    rng = generator(seed, "order", epoch)
    order = list(range(len(own)))
    rng.shuffle(order)
    if mixed:
        order = _spread(order, own, {label: rng.random() for label in sorted(set(own))})
    cuts = list(range(0, len(order), size))
    if mixed and len(order) % size == 1 and len(cuts) > 1:
        cuts.pop()
    for first, last in zip(cuts, [*cuts[1:], len(order)], strict=True):
        yield order[first:last]


def _spread(order: list[int], own: Sequence[int], offset: dict[int, float]) -> list[int]:
    members = defaultdict(list)
    for place in order:
        members[own[place]].append(place)
    when = {
        place: (rank + offset[label]) / len(places)
        for label, places in members.items()
        for rank, place in enumerate(places)
    }
    return sorted(order, key=when.__getitem__)
