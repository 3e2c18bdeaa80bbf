"""Every trial of the measure, with all of its settings, before any is run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from interp_rc.measures.symmetry.options import Protocols
from interp_rc.measures.symmetry.pools import FIRST, Cell
from interp_rc.records.nouns import EntityForm, LabelSet
from interp_rc.training.symmetry.distances import DistanceName
from interp_rc.training.symmetry.methods import Method
from interp_rc.training.symmetry.options import TOGETHER

Protocol = Literal["main", "new_label", "left_out", "samples"]
Shortcut = Literal["lookup", "relation_only", "hypothesis_only", "frozen_pair"]
SHORTCUTS: tuple[Shortcut, ...] = get_args(Shortcut)
REMEMBER: tuple[Method, ...] = ("nearest", "joint_nearest")
"""Methods whose judges can be given a label without training."""
APART = {method for method in get_args(Method) if method not in TOGETHER}
"""Methods that compare two vectors by a distance that is chosen."""
LEAST = Cell("three_labels", "ids")
"""What three labels ask is whether texts are understood; ids are for the published form."""
READS_ONLY = 0.3
"""What reading a pair costs, next to training on it once."""
FORGETTING = 750
"""What measuring forgetting costs, in pairs trained on."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One judge and its tests. `epochs` is 0 for one that is not trained; shortcuts never are.

    `size` training pairs of stream `draw`, without relation `left_out` ("" for none); `test` pairs
    a test set. `neutral` pairs are of a label that the judge is not trained on (protocol
    `new_label`): given to it afterwards, or with `together` trained on with the others.
    """

    protocol: Protocol
    label_set: LabelSet
    entities: EntityForm
    method: Method | Shortcut
    distance: DistanceName
    draw: int
    size: int
    test: int
    epochs: int
    learning_rate: float
    seed: int
    left_out: str = ""
    neutral: int = 0
    together: bool = False
    forgetting: bool = False

    @property
    def cell(self) -> Cell:
        return Cell(self.label_set, self.entities)

    @property
    def variant(self) -> str:
        """The method, with its distance where that is another than the cosine."""
        plain = self.distance == "cosine" or self.method not in APART
        return self.method if plain else f"{self.method}_{self.distance}"

    @property
    def when(self) -> str:
        return "before" if self.method not in SHORTCUTS and self.epochs == 0 else "after"

    @property
    def taught(self) -> str:
        """How the judge came by the new label, if there is one."""
        return ("together" if self.together else "remembered") if self.neutral else ""

    @property
    def trained_on(self) -> int:
        """Pairs, each counted as often as it is trained on."""
        return self.epochs * (self.size + (self.neutral if self.together else 0))

    @property
    def cost(self) -> int:
        """For the time left, in pairs trained on."""
        sets = 5 if self.protocol == "main" else 1
        reading = round(READS_ONLY * (self.size + sets * self.test))
        return self.trained_on + reading + self.forgetting * FORGETTING


def plan(
    options: Protocols, cells: Sequence[Cell], relations: dict[Cell, list[str]], seed: int
) -> list[Trial]:
    """In the order in which they are run; `relations` are those that can be left out."""
    return [
        *_main(options, cells, seed),
        *(_new_label(options, seed) if FIRST in cells else ()),
        *_left_out(options, relations, seed),
        *(_samples(options, seed) if FIRST in cells else ()),
    ]


def total_trained(trials: Sequence[Trial]) -> int:
    """Pairs trained on, each as often as it is."""
    return sum(trial.trained_on for trial in trials)


def _main(options: Protocols, cells: Sequence[Cell], seed: int) -> Iterator[Trial]:
    for cell in cells:
        if cell == LEAST:
            continue
        for draw in range(options.draws):
            for method, distance in _variants(options, every=cell == FIRST):
                told = cell == FIRST and distance == options.distances[0]
                if draw and distance != options.distances[0]:
                    continue  # beside the point: once will do
                for epochs in (0, options.epochs):
                    yield _trial(
                        options, "main", cell, method, distance, draw, options.train, epochs, seed,
                        forgetting=told and epochs > 0,
                    )  # fmt: skip
            for shortcut in SHORTCUTS:
                yield _trial(
                    options, "main", cell, shortcut, "cosine", draw, options.train, 0, seed
                )


def _variants(options: Protocols, *, every: bool) -> Iterator[tuple[Method, DistanceName]]:
    """Methods with the first distance, or with each that means something to them."""
    for method in options.methods:
        for distance in options.distances if every and method in APART else options.distances[:1]:
            yield method, distance


def _new_label(options: Protocols, seed: int) -> Iterator[Trial]:
    for draw in range(options.draws):
        for method in options.methods:
            for together in (False, True) if method in REMEMBER else ():
                yield _trial(
                    options, "new_label", FIRST, method, options.distances[0], draw,
                    options.train, options.epochs, seed,
                    neutral=options.neutral, together=together,
                )  # fmt: skip


def _left_out(options: Protocols, relations: dict[Cell, list[str]], seed: int) -> Iterator[Trial]:
    cells = [Cell("two_labels", entities) for entities in options.left_out_entities]
    for cell in cells if options.left_out_train else ():
        for relation in relations.get(cell, ()):
            tried = [
                (method, epochs) for method in options.methods for epochs in (0, options.epochs)
            ]
            for method, epochs in [*tried, *((shortcut, 0) for shortcut in SHORTCUTS)]:
                yield _trial(
                    options, "left_out", cell, method, options.distances[0], 0,
                    options.left_out_train, epochs, seed,
                    left_out=relation, test=options.left_out_test,
                )  # fmt: skip


def _samples(options: Protocols, seed: int) -> Iterator[Trial]:
    for method in options.methods:
        for draw in range(options.size_draws):
            for size in options.sizes:
                yield _trial(
                    options, "samples", FIRST, method, options.distances[0], draw, size,
                    options.epochs, seed,
                )  # fmt: skip


def _trial(
    options: Protocols,
    protocol: Protocol,
    cell: Cell,
    method: Method | Shortcut,
    distance: DistanceName,
    draw: int,
    size: int,
    epochs: int,
    seed: int,
    *,
    test: int | None = None,
    **more: object,
) -> Trial:
    """Methods that read both texts together have no distance to choose."""
    distance = distance if method in APART else "cosine"
    return Trial(
        protocol, *cell, method, distance, draw, size, test or options.test, epochs,
        options.learning_rate, seed, **more,  # type: ignore[arg-type]
    )  # fmt: skip
