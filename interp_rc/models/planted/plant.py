"""Plant facts in a model by hand: `plant(kind, shape, seed)`."""

import math

import torch
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from interp_rc.models.load import Loaded
from interp_rc.models.planted.plan import (
    ASKS_DESCRIPTION,
    ASKS_NAME,
    CONST,
    DECOY_HEAD,
    DECOY_MLP,
    DESCRIPTIONS,
    ENTITY,
    FACTS,
    FILLER,
    NAMES,
    SAY_DESCRIPTIONS,
    SAY_NAMES,
    WIDTH,
    Kind,
    Plan,
    Planted,
    Shape,
    make_plan,
    null_sites,
)
from interp_rc.models.planted.weights import TOKEN_SQUARE, Matrix, build
from interp_rc.models.tokenizer import BOS, EOS, PAD
from interp_rc.records.nouns import Contrast, Order, Span
from interp_rc.records.seeds import derive_seed

NAME_WORDS = ("Ada", "Bruno", "Chiara", "Dov", "Elif", "Farid", "Greta", "Hugo")
DESCRIPTION_WORDS = (
    "astronomer", "baker", "carver", "diver", "editor", "fiddler", "glazier", "hatter",
)  # fmt: skip
FILLER_WORDS = ("so", "well", "they", "say", "once", "today", "and", "the", "still", "famous")
ASKING: dict[Order, tuple[str, ...]] = {"forward": ("is", "became"), "backward": ("called", "as")}
SPECIAL = (PAD, BOS, EOS)
WORDS = (
    *SPECIAL, *NAME_WORDS, *DESCRIPTION_WORDS, *FILLER_WORDS,
    *ASKING["forward"], *ASKING["backward"],
)  # fmt: skip

# Words before the entity, and between it and the end, where the order's asking word stands.
TEMPLATES: tuple[tuple[str, str], ...] = (
    ("", ""),
    ("so ", " still"),
    ("well they say ", ""),
    ("once and today ", " and still"),
)


def plant(kind: Kind, shape: Shape, seed: int) -> Planted:
    """A model of `shape` with eight facts, stored as `kind` says at a place drawn from `seed`.

    Its weights are float64, because rounded directions are no longer quite orthogonal: rounded
    to float32, a decoy moves the logits by some 1e-7 of their size. See also `weights.exact`.
    """
    return planted(make_plan(kind, seed), kind, shape, seed)


def planted(plan: Plan, kind: Kind, shape: Shape, seed: int) -> Planted:
    """A model of `shape` that is written by `plan`."""
    tokenizer = word_tokenizer(WORDS)
    tokens = {f"{t}_token_id": tokenizer.convert_tokens_to_ids(w) for t, w in
              (("pad", PAD), ("bos", BOS), ("eos", EOS))}  # fmt: skip
    weights_seed = derive_seed(seed, "planted weights", kind, shape)
    model, neurons = build(
        plan, shape, _embedding(weights_seed), _output(plan), tokens, weights_seed
    )
    decoys = {*DECOY_MLP, *DECOY_HEAD}
    stores = [
        found
        for lookup, found in zip(plan.lookups, neurons, strict=True)
        if not decoys.intersection(lookup.writes)
    ]
    return Planted(
        loaded=Loaded(model, tokenizer),
        kind=kind,
        contrasts={order: contrasts(plan.pairs, order) for order in plan.store},
        store=plan.store,
        carriers=plan.carriers,
        null={order: null_sites(plan, order) for order in plan.store},
        # One look-up may be that of both orders.
        neurons={
            order: stores[min(number, len(stores) - 1)]
            for number, order in enumerate(plan.store)
            if stores
        },
    )


def word_tokenizer(words: tuple[str, ...]) -> PreTrainedTokenizerBase:
    """One token a word, whether a space precedes it or not; every text led by BOS."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, PAD))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\s+"), "removed")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, words.index(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
        name_or_path="planted",
    )


def contrasts(pairs: list[int], order: Order) -> list[Contrast]:
    """Each fact in each template against the next fact in the same one."""
    asked, answers = list(NAME_WORDS), [DESCRIPTION_WORDS[j] for j in pairs]
    if order == "backward":
        asked, answers = answers, asked
    found = []
    for number, (before, between) in enumerate(TEMPLATES):
        ending = f"{between} {ASKING[order][number % 2]}"
        for i in range(FACTS):
            other = (i + 1 + number) % FACTS
            entities = asked[i], asked[other]
            clean, corrupted = (before + entity + ending for entity in entities)
            found.append(
                Contrast(
                    id=f"{order}-{i}-{number}",
                    fact=str(i),
                    order=order,
                    clean=clean,
                    corrupted=corrupted,
                    target=f" {answers[i]}",
                    foil=f" {answers[other]}",
                    spans={
                        "source": [Span(len(before), len(before) + len(e)) for e in entities],
                        "prompt": [Span(0, len(clean)), Span(0, len(corrupted))],
                    },
                )
            )
    return found


def _embedding(seed: int) -> Matrix:
    """Rows of equal length, in the unrotated basis."""
    draw = torch.Generator().manual_seed(seed + 1)
    rows = torch.zeros(len(WORDS), WIDTH, dtype=torch.float64)
    rows[:, CONST] = 1.0
    for words, dims in ((NAME_WORDS, NAMES), (DESCRIPTION_WORDS, DESCRIPTIONS)):
        for word, dim in zip(words, dims, strict=True):
            rows[WORDS.index(word), [ENTITY, dim]] = 1.0
    for asking, dim in (("forward", ASKS_DESCRIPTION), ("backward", ASKS_NAME)):
        for word in ASKING[asking]:  # type: ignore[index]
            rows[WORDS.index(word), dim] = 1.0
    for row in rows:
        missing = TOKEN_SQUARE - float(row @ row)
        if missing > 0:
            noise = torch.randn(len(FILLER), generator=draw, dtype=torch.float64)
            row[list(FILLER)] = noise / noise.norm() * math.sqrt(missing)
    return rows


def _output(plan: Plan) -> Matrix:
    """What each word's output row reads."""
    rows = torch.zeros(len(WORDS), WIDTH, dtype=torch.float64)
    for i, j in enumerate(plan.pairs):
        name, description = WORDS.index(NAME_WORDS[i]), WORDS.index(DESCRIPTION_WORDS[j])
        rows[name, [SAY_NAMES[i], ASKS_NAME]] = 1.0
        rows[description, ASKS_DESCRIPTION] = 1.0
        rows[description, SAY_NAMES[i] if plan.shared else SAY_DESCRIPTIONS[j]] = 1.0
    return rows
