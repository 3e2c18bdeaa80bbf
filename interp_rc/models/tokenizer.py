"""A byte-level BPE tokenizer trained on a corpus, and how texts become ids everywhere."""

from collections.abc import Iterable, Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

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


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]
) -> list[tuple[list[int], Offsets]]:
    """Ids and each token's characters, per text.

    Special tokens that the tokenizer puts before a text stay; those after it (an end of text) do
    not, because what follows a prompt is asked of the model.
    """
    if not texts:
        return []
    batch = tokenizer(list(texts), return_offsets_mapping=True, return_attention_mask=False)
    return [
        _without_end(ids, offsets)
        for ids, offsets in zip(batch["input_ids"], batch["offset_mapping"], strict=True)
    ]


def _without_end(ids: list[int], offsets: Offsets) -> tuple[list[int], Offsets]:
    """Tokens that stand for no character have an empty offset."""
    end = len(ids)
    while end and offsets[end - 1][0] == offsets[end - 1][1] and any(b for _, b in offsets):
        end -= 1
    return ids[:end], offsets[:end]
