"""A byte-level BPE tokenizer trained on a corpus, and how texts become ids everywhere."""

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from interp_rc.records.errors import DataError, ScoringError

BOS, EOS, PAD = "<s>", "</s>", "<pad>"


def train_tokenizer(texts: Iterable[str], vocabulary: int, name: str) -> PreTrainedTokenizerBase:
    """Byte-level BPE (Sennrich et al. 2016; GPT-2's bytes), every text led by BOS."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{BOS} $A",
                pair=f"{BOS} $A $B",
                special_tokens=[(BOS, tokenizer.token_to_id(BOS))],
            ),
        ]
    )
    # A tokenizer without name_or_path breaks tools that load it again by name.
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        clean_up_tokenization_spaces=False,
        name_or_path=name,
    )


Offsets = list[tuple[int, int]]


class Encoding(NamedTuple):
    """A text's token ids, each token's characters, and which tokens the tokenizer added itself."""

    ids: list[int]
    offsets: Offsets
    special: list[bool]


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]
) -> list[tuple[list[int], Offsets]]:
    """Ids and each token's characters, per text.

    Special tokens that the tokenizer puts before a text stay; those after it (an end of text) do
    not, because what follows a prompt is asked of the model. A space that stands alone is a token
    of the text like any other, wherever it stands.

    Raises DataError for a text that begins with a special token which the tokenizer puts before
    every text: it would stand there twice, as in no text that the model was trained on.
    """
    read, before = encode_whole(tokenizer, texts), 0
    for text, encoding in zip(texts, read, strict=True):
        _check_begins_once(tokenizer, text, encoding)
    if any(all(encoding.special) for encoding in read):  # of nothing: what stands before a text?
        [some] = encode_whole(tokenizer, ["a"])
        before = some.special.index(False) if False in some.special else len(some.ids)
    return [_without_end(encoding, before if all(encoding.special) else 0) for encoding in read]


def encode_prompts(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> list[list[int]]:
    """Encode what a model is to go on from. Raises ScoringError for a prompt without a token."""
    encoded = [ids for ids, _ in encode(tokenizer, prompts)]
    for prompt, ids in zip(prompts, encoded, strict=True):
        if not ids:
            raise ScoringError(
                f"the prompt {prompt!r} has no token to go on from; give it a text, or a tokenizer "
                "that begins every text with a special token"
            )
    return encoded


def _check_begins_once(tokenizer: PreTrainedTokenizerBase, text: str, encoding: Encoding) -> None:
    own = next((n for n, special in enumerate(encoding.special) if not special), 0)
    if own and encoding.ids[own] in encoding.ids[:own]:
        written = tokenizer.convert_ids_to_tokens(encoding.ids[own])
        raise DataError(
            f"{text[:60]!r} begins with {written}, which the tokenizer puts before every text "
            "itself; leave it out"
        )


def encode_whole(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[Encoding]:
    """Encode each text with all that the tokenizer adds; spaces count among a token's characters.

    Args:
        tokenizer: A fast tokenizer, whose settings are as before afterwards.
        texts: What is encoded, each text for itself.

    Returns:
        Per text its ids, and for each token the half-open range of its characters. A token that
        stands for none of them, as the tokenizer's own, has an empty one.
    """
    if not texts:
        return []
    with _untrimmed(tokenizer):
        batch = tokenizer(
            list(texts),
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            return_attention_mask=False,
        )
    columns = batch["input_ids"], batch["offset_mapping"], batch["special_tokens_mask"]
    return [
        Encoding(ids, offsets, list(map(bool, special)))
        for ids, offsets, special in zip(*columns, strict=True)
    ]


def _without_end(encoding: Encoding, before: int) -> tuple[list[int], Offsets]:
    """Less the special tokens behind the text; `before` stand before it at least."""
    end = len(encoding.ids)
    while end > before and encoding.special[end - 1]:
        end -= 1
    return encoding.ids[:end], encoding.offsets[:end]


_SWAPPING = threading.Lock()


@contextmanager
def _untrimmed(tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """Have offsets count the spaces at a token's ends, whatever the tokenizer was saved with.

    Byte-level tokenizers (GPT-2, GPT-NeoX, OPT, RoBERTa) may leave them out, and then a space that
    stands alone has no characters, and a token that ends in one seems to end before it: neither
    could be told to belong to a prompt or to its target.
    """
    backend = tokenizer.backend_tokenizer
    with _SWAPPING:
        own = backend.post_processor
        whole = None if own is None else _counting_spaces(own)
        if whole is not None:
            backend.post_processor = whole
        try:
            yield
        finally:
            if whole is not None:
                backend.post_processor = own


def _counting_spaces(
    processor: processors.PostProcessor,
) -> processors.PostProcessor | None:
    """The same post-processor without its trimming of offsets; None if it trims none."""
    state = json.loads(processor.__getstate__())
    parts = state["processors"] if state["type"] == "Sequence" else [state]
    trimming = [part for part in parts if part.get("trim_offsets")]
    if not trimming:
        return None
    for part in trimming:
        part["trim_offsets"] = False
    whole = processors.Sequence([])
    whole.__setstate__(json.dumps(state).encode())
    return whole
