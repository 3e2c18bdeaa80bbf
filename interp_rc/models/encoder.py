"""Sentence encoders, through sentence-transformers: load, build, and embed with gradients."""

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import BertConfig, BertModel, PreTrainedModel, PreTrainedTokenizerBase

from interp_rc.models.batching import at_most, batch_by_length
from interp_rc.models.checkpoint import explaining, in_one_line
from interp_rc.models.evaluating import evaluating
from interp_rc.models.finite import check_finite
from interp_rc.models.hub import only_in_cache
from interp_rc.models.load import quiet
from interp_rc.models.tokenizer import train_tokenizer
from interp_rc.models.whole import HARMLESS, refuse_partly_loaded, unused_in_body
from interp_rc.records.errors import ModelError
from interp_rc.records.manifest import check_part
from interp_rc.records.seeds import derive_seed

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Together = tuple[str, str]
Text = str | Together
"""One text, or two that are read together, as the tokenizer joins them."""
_TOKENIZING = Lock()  # a fast tokenizer keeps how it pads, and refuses a second thread meanwhile
AT_ONCE = 1024  # texts that are tokenised together
BYTES_ALONE = 512
"""Fewer entries than this are bytes, special tokens and hardly a word."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """What a measure gets where others get a `Loaded`. `bf16`: whether it is trained so."""

    model: "SentenceTransformer"
    source: str
    bf16: bool = False

    @property
    def body(self) -> PreTrainedModel:
        """The transformer inside, without its pooling."""
        return self.model[0].model

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return self.model.tokenizer

    @property
    def width(self) -> int:
        width: int | None = self.model.get_embedding_dimension()
        assert width is not None
        return width

    def copy(self) -> "Encoder":
        """Another with the same weights, to be trained; the tokenizer is shared."""
        shared = {id(self.tokenizer): self.tokenizer}
        copied = copy.deepcopy(self.model, shared)
        # Its card holds the model that holds it: hundreds of copies would wait for the collector.
        copied.model_card_data.model = None
        return Encoder(copied, self.source, self.bf16)

    def features(self, texts: Sequence[Text]) -> dict[str, Any]:
        """The texts as the encoder's tokens, padded, where it computes."""
        with _TOKENIZING:
            found = self.model.preprocess(list(texts))
        return {
            name: value.to(self.model.device) if isinstance(value, Tensor) else value
            for name, value in found.items()
        }

    def lengths(self, texts: Sequence[Text]) -> list[int]:
        """Of each text, in tokens as they are read."""
        parts = [texts[first : first + AT_ONCE] for first in range(0, len(texts), AT_ONCE)]
        masks = (self.features(part)["attention_mask"] for part in parts)
        return [length for mask in masks for length in mask.sum(1).tolist()]

    def embed(self, texts: Sequence[Text]) -> Float[Tensor, "text width"]:
        """With gradients, in one batch, in the mode (training or not) that the model is in."""
        vectors: Tensor = self.model(self.features(texts))["sentence_embedding"]
        return vectors.float()

    @torch.inference_mode()
    def embedded(
        self, texts: Sequence[Text], *, batch_size: int = 64
    ) -> Float[Tensor, "text width"]:
        """Without gradients or dropout, on the CPU in float32, in the order that is given; equal
        texts are read once."""
        once = list(dict.fromkeys(texts))
        found: dict[Text, Tensor] = {}
        with evaluating(self.model):
            for numbers in batch_by_length(self.body, self.lengths(once), at_most(batch_size)):
                batch = [once[number] for number in numbers]
                found |= zip(batch, self.embed(batch).cpu(), strict=True)
        return torch.stack([found[text] for text in texts]) if found else torch.empty(0, self.width)


def load_encoder(
    source: str | Path, *, revision: str | None = None, device: str = "cpu", bf16: bool = False
) -> Encoder:
    """An encoder by hub id and revision, or from a folder; safetensors only, no remote code.

    A folder without sentence-transformers' files is a language model: its last states are
    averaged. Raises ModelError for what gives no encoder, RunError for the model of a run that is
    not what the run wrote.
    """
    from sentence_transformers import SentenceTransformer

    folder, cached = Path(source), False
    if folder.is_dir():
        check_part(folder)
        if not any(folder.rglob("*.safetensors")):
            raise ModelError(
                f"{folder} holds no *.safetensors weights; other formats can run code when loaded "
                "and are not read: save the model with safe_serialization first"
            )
    elif isinstance(source, Path) or str(source).startswith((".", "/", "~")):
        raise ModelError(f"encoder folder {source} not found; check the path")
    else:
        cached = only_in_cache(str(source), revision)
    with quiet(), _quiet_here(), explaining(partial(_no_encoder, source)):
        model = SentenceTransformer(
            str(source),
            revision=revision,
            device=device,
            trust_remote_code=False,
            local_files_only=cached,
            model_kwargs={"use_safetensors": True},
        )
        _refuse_partly_loaded(source, model[0].model)
    check_finite(model, str(source))
    return Encoder(model.eval(), str(source), bf16)


def _no_encoder(source: object, error: BaseException) -> str:
    return (
        f"{source} gives no encoder ({in_one_line(error)}); give a folder of sentence-transformers "
        "or Transformers with safetensors weights, or a hub id that is in the cache or reachable"
    )


def _refuse_partly_loaded(source: object, body: Any) -> None:
    """The library draws at random what it does not find, and says nothing of what it leaves."""
    if not isinstance(body, PreTrainedModel):
        return
    _, info = type(body).from_pretrained(
        body.name_or_path,
        config=body.config,
        use_safetensors=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        local_files_only=True,
    )
    info["unexpected_keys"] = unused_in_body(info["unexpected_keys"], body.base_model_prefix)
    # No pooling reads what BERT's own pooler makes of the first state.
    info["missing_keys"] = [key for key in info["missing_keys"] if not HARMLESS.search(key)]
    refuse_partly_loaded(source, body, info)


@contextmanager
def _quiet_here() -> Iterator[None]:
    """sentence-transformers says at each load of a plain model that it will average its states."""
    log = logging.getLogger("sentence_transformers")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


@dataclass(frozen=True, slots=True)
class EncoderSize:
    """Of a BERT made here. `mlp` is four times `width`."""

    layers: int = 4
    width: int = 128
    heads: int = 4
    context: int = 128
    vocabulary: int = 2048


def new_encoder(
    texts: Sequence[str], size: EncoderSize, seed: int, *, bf16: bool = False
) -> Encoder:
    """An untrained BERT whose tokenizer knows the words of `texts`; states are averaged.

    Raises ModelError for a vocabulary that holds no words.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    if size.vocabulary < BYTES_ALONE:
        raise ModelError(
            f"a vocabulary of {size.vocabulary} holds no words; give {BYTES_ALONE} or more"
        )
    tokenizer = train_tokenizer(texts, size.vocabulary, "new_encoder")
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.width,
        max_position_embeddings=size.context,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]), TemporaryDirectory() as folder:
        torch.manual_seed(derive_seed(seed, "weights"))
        with quiet(), _quiet_here():
            BertModel(config).save_pretrained(folder, safe_serialization=True)
            tokenizer.save_pretrained(folder)
            body = Transformer(folder, max_seq_length=size.context)
    parts = [body, Pooling(size.width, pooling_mode="mean"), Normalize()]
    model = SentenceTransformer(modules=parts, device="cpu")
    return Encoder(model.eval(), "new_encoder", bf16)
