"""Tokenizers of every kind that causal and masked models come with, trained on a few words here."""

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

BEGIN, END, PAD, UNKNOWN, MASK = SPECIAL = ("<s>", "</s>", "<pad>", "<unk>", "<mask>")
TEXTS = ["the host of the house\n\nsaid that the host was here, was here", "a  house\n the host "]
BYTES = pre_tokenizers.ByteLevel.alphabet()
FALLBACK = [f"<0x{byte:02X}>" for byte in range(256)]


def _trained(model, pre, normalizer=None, alphabet=(), special=SPECIAL):
    made = Tokenizer(model)
    if normalizer is not None:
        made.normalizer = normalizer
    if pre is not None:
        made.pre_tokenizer = pre
    kind = trainers.WordPieceTrainer if isinstance(model, models.WordPiece) else trainers.BpeTrainer
    made.train_from_iterator(
        TEXTS,
        kind(
            vocab_size=len(special) + len(alphabet) + 40,
            special_tokens=list(special),
            initial_alphabet=list(alphabet),
            show_progress=False,
        ),
    )
    return made


def _template(single):
    ids = [(token, SPECIAL.index(token)) for token in (BEGIN, END)]
    return processors.TemplateProcessing(single=single, special_tokens=ids)


def byte_level(trim, prefix, single=None):
    """GPT-2's and GPT-NeoX's way; with a template OPT's or Llama 3's."""
    made = _trained(models.BPE(), pre_tokenizers.ByteLevel(add_prefix_space=prefix), alphabet=BYTES)
    own = processors.ByteLevel(trim_offsets=trim, add_prefix_space=prefix)
    made.post_processor = own if single is None else processors.Sequence([own, _template(single)])
    made.decoder = decoders.ByteLevel()
    return made


def roberta():
    made = byte_level(True, False)
    made.post_processor = processors.RobertaProcessing(
        (END, 1), (BEGIN, 0), trim_offsets=True, add_prefix_space=False
    )
    return made


def sentence_piece(first_only):
    """Llama 2's and Mistral's way: a space is a letter, and one is put before the text."""
    mark = "▁"
    alphabet = sorted({*"".join(TEXTS).replace(" ", mark), mark} - {"\n"})
    model = models.BPE(byte_fallback=True, unk_token=UNKNOWN)
    special = (*SPECIAL, *FALLBACK)
    if first_only:
        pre = pre_tokenizers.Metaspace(mark, prepend_scheme="first", split=False)
        made = _trained(model, pre, alphabet=alphabet, special=special)
    else:
        spaces = [normalizers.Prepend(mark), normalizers.Replace(" ", mark)]
        made = _trained(model, None, normalizers.Sequence(spaces), alphabet, special)
    made.post_processor = _template(f"{BEGIN} $A")
    return made


def bert():
    made = _trained(
        models.WordPiece(unk_token=UNKNOWN),
        pre_tokenizers.BertPreTokenizer(),
        normalizers.BertNormalizer(),
    )
    made.post_processor = processors.BertProcessing((END, 1), (BEGIN, 0))
    return made


BYTE_LEVEL = {
    "gpt2": lambda: byte_level(True, False),
    "gpt2_prefixed": lambda: byte_level(True, True),
    "neox": lambda: byte_level(False, False),
    "opt": lambda: byte_level(True, False, f"{END} $A"),
    "llama3": lambda: byte_level(True, False, f"{BEGIN} $A {END}"),
    "roberta": roberta,
}
OTHERS = {
    "llama2": lambda: sentence_piece(False),
    "mistral": lambda: sentence_piece(True),
    "bert": bert,
}
KINDS = BYTE_LEVEL | OTHERS


def built(kind):
    return PreTrainedTokenizerFast(
        tokenizer_object=KINDS[kind](),
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        mask_token=MASK,
        name_or_path=kind,
        clean_up_tokenization_spaces=False,
    )
