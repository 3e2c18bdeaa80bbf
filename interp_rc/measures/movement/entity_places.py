"""An entity's representation place by place, and what a document's loss pulls at there.

Places in the order of computation: the input embedding's rows of the entity's tokens, the stream
after each layer at its last token, and the output rows of its tokens. Where a model ties input
embedding and output rows, they are one matrix that moves as one; gradients through its two uses
are told apart all the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from interp_rc.engine.sites import covered
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Place
from interp_rc.models.load import Loaded
from interp_rc.models.tokenizer import encode
from interp_rc.records.nouns import Document, Query, Span
from interp_rc.tools.gradients.parameter_groups import parameters_of
from interp_rc.tools.probing.source_streams import streams_at_source
from interp_rc.training.batches import Batches
from interp_rc.training.options import TrainingOptions

Role = Literal["subject", "object"]
ROLES: tuple[Role, ...] = ("subject", "object")


class At(NamedTuple):
    """`layer` is None for rows."""

    place: Literal["input_embedding", "resid_post", "output_rows"]
    layer: int | None = None

    @property
    def name(self) -> str:
        return self.place if self.layer is None else f"layer_{self.layer}"

    @property
    def axes(self) -> dict[str, str | int]:
        """What an estimate at it is of."""
        return {"place": self.place} if self.layer is None else {"layer": self.layer}


def places_of(layers: int) -> list[At]:
    """In the order of computation."""
    return [At("input_embedding"), *(At("resid_post", i) for i in range(layers)), At("output_rows")]


class Entity(NamedTuple):
    """A text that stands for A or B, and a prompt that names it and not the other."""

    text: str
    query: Query


def in_the_place_of(query: Query, text: str) -> Query:
    """The same prompt about another entity; what follows the prompt stays."""
    start, end = query.source
    prompt = query.prompt[:start] + text + query.prompt[end:]
    role = "subject" if query.order == "forward" else "object"
    return replace(query, prompt=prompt, spans={role: [Span(start, start + len(text))]})


Vectors = dict[At, list[Float[Tensor, " size"]]]  # one an entity


@torch.no_grad()
def representations(loaded: Loaded, adapter: Adapter, entities: Sequence[Entity]) -> Vectors:
    """In float64; the rows of an entity's tokens are one vector."""
    streams = streams_at_source(loaded, adapter, [entity.query for entity in entities])
    rows = [_rows(loaded, entity.text) for entity in entities]
    inputs, outputs = (
        module.weight.detach().double().cpu()
        for module in (loaded.model.get_input_embeddings(), loaded.model.get_output_embeddings())
    )
    found: Vectors = {At("input_embedding"): [inputs[ids].flatten() for ids in rows]}
    for layer in range(adapter.layers):
        found[At("resid_post", layer)] = list(streams[:, layer + 1])
    return found | {At("output_rows"): [outputs[ids].flatten() for ids in rows]}


def movements(before: Vectors, after: Vectors) -> dict[At, list[float]]:
    """||after - before|| / ||before|| of each entity, by place."""
    return {
        at: [
            float((new - old).norm() / old.norm())
            for old, new in zip(before[at], after[at], strict=True)
        ]
        for at in before
    }


def _rows(loaded: Loaded, text: str) -> list[int]:
    """The tokens of an entity within a text."""
    ids: list[int] = loaded.tokenizer(f" {text}", add_special_tokens=False).input_ids
    return ids


def gradient_norms(
    loaded: Loaded,
    adapter: Adapter,
    documents: Sequence[Document],
    texts: Sequence[Sequence[str]],
    training: TrainingOptions,
) -> Iterator[dict[At, list[float | None]]]:
    """Of each document's own loss, by place, for each of its `texts`: ||gradient|| x ||value||.

    That is what the loss [nat a token] changes by at the most if the representation there moves by
    its own length. Streams are those at the last tokens of the document's own two entities, which
    the first two texts (subject, object) are; other texts have rows alone.
    """
    model, layers = loaded.model, range(adapter.layers)
    capture = [Place("resid_post", layer) for layer in layers]
    examples = training.objective.examples(loaded.tokenizer, documents)
    offsets = [found for _, found in encode(loaded.tokenizer, [d.text for d in documents])]
    with parameters_of(model, adapter.parts), adapter.hooked(), torch.enable_grad():
        matrices = {
            At("input_embedding"): model.get_input_embeddings().weight,
            At("output_rows"): model.get_output_embeddings().weight,
        }
        for document, example, places, names in zip(
            documents, examples, offsets, texts, strict=True
        ):
            batch = Batches([example], [[0]])[0]
            seen: dict[Place, Tensor] = {}

            def watched(
                input_ids: Tensor,
                attention_mask: Tensor,
                seen: dict[Place, Tensor] = seen,
            ) -> SimpleNamespace:
                logits, found = adapter.run(input_ids, attention_mask, capture=capture)
                seen.update(found)
                return SimpleNamespace(logits=logits)

            batch = {name: value.to(model.device) for name, value in batch.items()}
            loss = training.objective.loss(watched, batch)
            values = [*matrices.values(), *(seen[place] for place in capture)]
            gradients = torch.autograd.grad(loss, values)
            rows = [_rows(loaded, name) for name in names]
            last = [
                covered(places, document.spans[role][0], f"document {document.id}: {role}")[-1]
                for role in ROLES
            ]
            found: dict[At, list[float | None]] = {
                at: [_pull(gradient[ids], matrix[ids]) for ids in rows]
                for (at, matrix), gradient in zip(matrices.items(), gradients, strict=False)
            }
            for layer, gradient in zip(layers, gradients[len(matrices) :], strict=True):
                value = seen[Place("resid_post", layer)]
                own = [_pull(gradient[0, i], value[0, i]) for i in last]
                found[At("resid_post", layer)] = [*own, *[None] * (len(names) - len(own))]
            yield found


def _pull(gradient: Tensor, value: Tensor) -> float:
    return float(gradient.detach().double().norm() * value.detach().double().norm())
