"""Facts that only one module was allowed to learn, so that their place is known."""

import tempfile
from pathlib import Path
from typing import Literal

import torch

from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.adapters.parts import Place
from interp_rc.models.build import Size, build_model, model_config
from interp_rc.models.load import Loaded
from interp_rc.models.machine import Machine
from interp_rc.models.planted.plan import FACTS, At, Planted
from interp_rc.models.planted.plant import DESCRIPTION_WORDS, NAME_WORDS, WORDS, word_tokenizer
from interp_rc.records.errors import ModelError
from interp_rc.records.nouns import Contrast, Document, Span
from interp_rc.records.seeds import derive_seed, generator
from interp_rc.training.objectives.next_token import NextToken
from interp_rc.training.options import TrainingOptions
from interp_rc.training.train import train

BEFORE = ("", "so ", "well they say ", "once and today ")
OUTPUT_SPREAD = (
    0.5  # rows as small as Transformers draws them could not say anything with certainty
)
TRAINING = TrainingOptions(
    objective=NextToken(loss_on="completion"), learning_rate=1e-2, epochs=60, weight_decay=0.0
)


def untaught(shape: Literal["gpt2", "llama"], seed: int) -> Loaded:
    """A model of four layers with random weights that reads whole words."""
    tokenizer = word_tokenizer(WORDS)
    config = model_config(
        Size(shape=shape, layers=4, width=64, heads=2, context=32),
        len(WORDS),
        bos=tokenizer.bos_token_id,
        eos=tokenizer.eos_token_id,
        pad=tokenizer.pad_token_id,
    )
    config.tie_word_embeddings = False
    model = build_model(config, seed)
    draw = torch.Generator().manual_seed(derive_seed(seed, "output rows"))
    rows = model.get_output_embeddings().weight
    with torch.no_grad():
        rows.copy_(torch.randn(rows.shape, generator=draw) * OUTPUT_SPREAD)
    return Loaded(model.eval(), tokenizer)


def confine(loaded: Loaded, place: Place) -> None:
    """Let only the module whose output `place` is learn; raises ModelError if there is none."""
    block = Adapter(loaded.model).parts.blocks[place.layer]
    modules = {"attn_out": block.attention, "mlp_out": block.mlp}
    if place.component not in modules:
        raise ModelError(f"no module writes {place.component}; confine to attn_out or mlp_out")
    loaded.model.requires_grad_(False)
    modules[place.component].requires_grad_(True)


def teach(base: Loaded, place: Place, seed: int) -> Planted:
    """Facts taught to the module at `place` only; `base` is used up.

    Prompts end in the entity, so that nothing has to be moved. All modules read that token, which
    leaves no site of which it could be proven that it does not matter: `null` is empty.
    """
    pairs = generator(seed, "confined").sample(range(FACTS), FACTS)
    confine(base, place)
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine("cpu", bf16=False, threads=1)
        documents = _documents(pairs)
        train(base, documents, TRAINING, machine=machine, seed=seed, checkpoints=Path(folder))
    base.model.requires_grad_(True)
    return Planted(
        loaded=base,
        kind="confined",
        contrasts={"forward": _contrasts(pairs)},
        store={"forward": At(place, "source")},
        carriers={"forward": []},
        null={"forward": []},
    )


def _documents(pairs: list[int]) -> list[Document]:
    found = []
    for number, before in enumerate(BEFORE):
        for i, j in enumerate(pairs):
            name, description = NAME_WORDS[i], DESCRIPTION_WORDS[j]
            end = len(before) + len(name)
            spans = {
                "subject": [Span(len(before), end)],
                "object": [Span(end + 1, end + 1 + len(description))],
            }
            text = f"{before}{name} {description}"
            found.append(Document(f"{i}-{number}", str(i), "forward", str(number), text, spans))
    return found


def _contrasts(pairs: list[int]) -> list[Contrast]:
    """Each fact against the next one, after the same words."""
    found = []
    for number, before in enumerate(BEFORE):
        for i in range(FACTS):
            other = (i + 1 + number) % FACTS
            clean, corrupted = before + NAME_WORDS[i], before + NAME_WORDS[other]
            source = [Span(len(before), len(clean)), Span(len(before), len(corrupted))]
            whole = [Span(0, len(clean)), Span(0, len(corrupted))]
            target, foil = (f" {DESCRIPTION_WORDS[pairs[k]]}" for k in (i, other))
            spans = {"source": source, "prompt": whole}
            found.append(
                Contrast(f"{i}-{number}", str(i), "forward", clean, corrupted, target, foil, spans)
            )
    return found
