"""Next-token prediction on whole documents or on their completions only."""

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from interp_rc.models.tokenizer import encode
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Document
from interp_rc.records.options import Options
from interp_rc.training.batches import IGNORED, Example


class NextToken(Options):
    """`loss_on` the whole document, or only on what follows the prompt.

    The choice changes even the forward result, so every table says which it was.
    """

    kind: Literal["next_token"] = "next_token"
    loss_on: Literal["document", "completion"] = "document"

    def examples(
        self, tokenizer: PreTrainedTokenizerBase, documents: Sequence[Document]
    ) -> list[Example]:
        """Token ids closed by the end-of-text token, and the labels that bear a loss.

        Raises DataError for a loss on the completion of a document that tells both orders.
        """
        end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        examples = []
        encoded = encode(tokenizer, [document.text for document in documents])
        for document, (ids, offsets) in zip(documents, encoded, strict=True):
            labels = list(ids)
            if self.loss_on == "completion":
                if document.order is None:
                    raise DataError(
                        f"document {document.id} tells its fact in both orders, so it has no one "
                        "completion; choose loss_on: document, or tell the orders separately"
                    )
                start = len(document.prompt)
                labels = [
                    id if stop > start else IGNORED
                    for id, (_, stop) in zip(ids, offsets, strict=True)
                ]
            examples.append(Example(ids + end, labels + end))
        return examples

    def loss(self, model: PreTrainedModel, batch: dict[str, Tensor]) -> Float[Tensor, ""]:
        """Mean cross-entropy in nats over the batch's tokens that bear a loss."""
        labels = batch["labels"]
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        return torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED
        )

    def scored_tokens(self, batch: dict[str, Tensor]) -> Int[Tensor, ""]:
        """How many tokens of the batch bear a loss: those that `loss` is the mean over."""
        return (batch["labels"][:, 1:] != IGNORED).sum()
