"""An encoder in which the class of a relation is written by hand: at its word, by one layer."""

import torch

from interp_rc.facts.relations import relations
from interp_rc.models.encoder import EncoderSize, new_encoder
from interp_rc.models.encoder_states import tokens
from interp_rc.records.nouns import Pair, Span

LAYERS, WRITES = 4, 2
"""The second block writes it, so that it is there after two blocks and not after one."""
NAMES = ("Ann", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal")


def pair_about(number, relation):
    """Each relation is one word, so that a layer can know it by its token."""
    first, second = NAMES[number % 8], NAMES[(number + 3) % 8]
    texts, spans = [], {}
    for side, (a, b) in {"premise": (first, second), "hypothesis": (second, first)}.items():
        word = relation.replace("_", "")
        texts.append(f" {a} {word} {b}")
        places = {"subject": a, "relation": word, "object": b}
        for what, words in places.items():
            start = texts[-1].index(f" {words}") + 1
            spans[f"{side}.{what}"] = [Span(start, start + len(words))]
    symmetric = relations()[relation].symmetry == "symmetric"
    return Pair(
        id=f"{relation}.{number}",
        premise=texts[0],
        hypothesis=texts[1],
        relation=relation,
        label="entailment" if symmetric else "contradiction",
        form="swapped",
        entities="names",
        label_set="two_labels",
        split="test",
        held_out=False,
        spans=spans,
    )


def pairs_of(per_relation):
    return {name: [pair_about(n, name) for n in range(per_relation)] for name in relations()}


def planted(seed):
    """Attention adds nothing anywhere, and MLPs nothing but one layer's, which knows each relation
    by its token and adds a direction for symmetric ones, and its opposite for the others."""
    texts = [t for mine in pairs_of(8).values() for p in mine for t in (p.premise, p.hypothesis)]
    encoder = new_encoder(texts * 3, EncoderSize(LAYERS, 64, 2, 32, 1024), seed)
    body = encoder.body
    with torch.no_grad():
        body.embeddings.word_embeddings.weight.mul_(50)
        body.embeddings.position_embeddings.weight.zero_()
        body.embeddings.token_type_embeddings.weight.zero_()
        for layer in body.encoder.layer:
            for dense in (layer.attention.output.dense, layer.output.dense):
                dense.weight.zero_()
                dense.bias.zero_()
        writer = body.encoder.layer[WRITES - 1]
        writer.intermediate.dense.weight.zero_()
        writer.intermediate.dense.bias.fill_(-10.0)
        direction = torch.randn(64, generator=torch.Generator().manual_seed(seed))
        direction -= direction.mean()
        for neuron, (name, entry) in enumerate(relations().items()):
            word = f" {name.replace('_', '')}"
            (known,) = encoder.tokenizer(word, add_special_tokens=False)["input_ids"]
            state = body.embeddings(input_ids=torch.tensor([[known]]))[0, 0]
            writer.intermediate.dense.weight[neuron] = state
            writer.intermediate.dense.bias[neuron] = -0.9 * state.square().sum()
            sign = 1.0 if entry.symmetry == "symmetric" else -1.0
            writer.output.dense.weight[:, neuron] = sign * direction
    return encoder, direction / direction.norm()


def one_token_each(encoder, pair):
    (read,) = tokens(encoder, [(pair.premise, pair.hypothesis)])
    return len(read.ids) == 7
