"""Where the facts of a run come from."""

from typing import Annotated, Literal

from pydantic import Field

from interp_rc.facts.couples import HeldOutSeen, relation_facts
from interp_rc.facts.factset import FactSet
from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import read_facts
from interp_rc.facts.instructions import ToldFirst, instructions
from interp_rc.facts.parents import parents
from interp_rc.facts.published import import_published
from interp_rc.facts.published_instructions import import_instructions
from interp_rc.facts.published_symmetry_pairs import published_symmetry
from interp_rc.facts.symmetry import symmetry
from interp_rc.facts.templates import Wording
from interp_rc.records.limits import MOST_COUNT
from interp_rc.records.options import AbsolutePath, Count, Options, Positive


class People(Options):
    """Fictitious people made here.

    `both`: facts told in both orders (null: `per_group`). `exposures`: tellings of a fact in an
    order, going through the training templates again and again (null: once). `form`: statements, or
    a question about one entity answered with the other. `both_in`: whether the two orders of a
    fact stand in documents of their own or together in one.
    """

    kind: Literal["people"] = "people"
    per_group: Annotated[int, Field(ge=2, le=MOST_COUNT)] = 30
    both: Count | None = None
    training_templates: Positive = 30
    held_out_templates: Positive = 10
    held_out_seen: Literal["elsewhere", "nowhere"] = "elsewhere"
    exposures: Positive | None = None
    form: Wording = "statement"
    both_in: Literal["separate", "one_document"] = "separate"

    def build(self, seed: int) -> FactSet:
        return fictitious_people(seed, **self.model_dump(exclude={"kind"}))


class Instructions(Options):
    """Instructions how to answer questions that are made here, told in one of two orders."""

    kind: Literal["instructions"] = "instructions"
    order: ToldFirst = "question_first"
    realized: Positive = 1000
    held_out: Annotated[int, Field(ge=2, le=300)] = 100
    phrasings: Positive = 1

    def build(self, seed: int) -> FactSet:
        return instructions(seed, **self.model_dump(exclude={"kind"}))


class FactsFolder(Options):
    """A folder that `interp-rc facts build` or `import` wrote."""

    kind: Literal["folder"] = "folder"
    path: AbsolutePath

    def build(self, seed: int) -> FactSet:
        return read_facts(self.path)


class Published(Options):
    """The layout published with the Reversal Curse paper.

    `seen: elsewhere` tells the base corpus of an embedded model in the published templates, about
    other people; `nowhere` keeps all of them out of it.
    """

    kind: Literal["published"] = "published"
    path: AbsolutePath
    seen: Literal["elsewhere", "nowhere"] = "nowhere"

    def build(self, seed: int) -> FactSet:
        return import_published(self.path, seen=self.seen)


class PublishedInstructions(Options):
    """Experiment 3 in the layout published with the paper, in whichever order it is told."""

    kind: Literal["published_instructions"] = "published_instructions"
    path: AbsolutePath

    def build(self, seed: int) -> FactSet:
        return import_instructions(self.path)


class Parents(Options):
    """Pairs of a child and a parent, from a CSV file with columns child, parent and parent_type;
    null: this project's own list of well-known people."""

    kind: Literal["parents"] = "parents"
    path: AbsolutePath | None = None

    def build(self, seed: int) -> FactSet:
        return parents(self.path)


class Relations(Options):
    """Couples of invented entities in three relations of the project's table, told in one order.

    `both`: facts of the first two relations that are told in both orders besides, as controls.
    `exposures`: tellings of a fact in an order, going through its relation's wordings again and
    again.
    """

    kind: Literal["relations"] = "relations"
    symmetric: str = "sibling"
    inverse: str = "led_to"
    antisymmetric: str = "child"
    per_relation: Annotated[int, Field(ge=2, le=MOST_COUNT)] = 60
    both: Annotated[int, Field(ge=2, le=MOST_COUNT)] = 20
    exposures: Positive = 30
    held_out_seen: HeldOutSeen = "elsewhere"

    def build(self, seed: int) -> FactSet:
        return relation_facts(seed, **self.model_dump(exclude={"kind"}))


class Symmetry(Options):
    """Pairs of sentences that ask whether a relation holds the other way round, made here.

    `train` and `test` pairs of each label set in each entity form; the test pairs a second time in
    held-out wordings.
    """

    kind: Literal["symmetry"] = "symmetry"
    train: Positive = 1000
    test: Positive = 300

    def build(self, seed: int) -> FactSet:
        return symmetry(seed, **self.model_dump(exclude={"kind"}))


class PublishedSymmetry(Options):
    """The published table of symmetric and antisymmetric sentences, tab-separated.

    At most `train` and `test` pairs of each part, as `symmetry` makes them (null: as many as there
    are). `skip_faults` leaves rows out that cannot be used; otherwise they are refused.
    """

    kind: Literal["published_symmetry"] = "published_symmetry"
    path: AbsolutePath
    train: Positive | None = 1000
    test: Positive | None = 300
    skip_faults: bool = False

    def build(self, seed: int) -> FactSet:
        return published_symmetry(seed=seed, **self.model_dump(exclude={"kind"}))
