"""The loss is the mean over exactly the tokens that should bear it."""

import math

import pytest
import torch
from pydantic import ValidationError

from interp_rc.records.nouns import Document, Span
from interp_rc.training.batches import IGNORED, Batches
from interp_rc.training.objectives.next_token import NextToken


@pytest.fixture(scope="module")
def documents(told):
    """Of different lengths, in both orders; one whose completion begins before the entity."""
    text = told.documents[0].text
    early = Document("d", "f", "forward", "t", text, {"completion": [Span(9, 10)]})
    return [*told.documents[:4], *told.documents[-4:], early]


def batch_of(objective, tokenizer, documents):
    examples = objective.examples(tokenizer, documents)
    return Batches(examples, [range(len(examples))])[0]


def by_hand(model, tokenizer, documents, loss_on):
    """Mean over tokens, one document and one token at a time."""
    losses = []
    for document in documents:
        encoded = tokenizer(document.text, return_offsets_mapping=True)
        ids = [*encoded.input_ids, tokenizer.eos_token_id]
        ends = [*(end for _, end in encoded.offset_mapping), math.inf]
        logits = model(input_ids=torch.tensor([ids])).logits[0].double()
        for place in range(1, len(ids)):
            if loss_on == "document" or ends[place] > len(document.prompt):
                probabilities = logits[place - 1].exp() / logits[place - 1].exp().sum()
                losses.append(-math.log(probabilities[ids[place]]))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("loss_on", ["document", "completion"])
def test_loss_equals_a_loop_over_tokens(tiny, documents, loss_on):
    objective = NextToken(loss_on=loss_on)
    found = objective.loss(tiny.model, batch_of(objective, tiny.tokenizer, documents))
    expected = by_hand(tiny.model, tiny.tokenizer, documents, loss_on)
    assert found.shape == ()
    assert found.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("loss_on", ["document", "completion"])
def test_loss_equals_that_of_transformers(tiny, documents, loss_on):
    objective = NextToken(loss_on=loss_on)
    batch = batch_of(objective, tiny.tokenizer, documents)
    found = objective.loss(tiny.model, batch)
    assert found.item() == pytest.approx(tiny.model(**batch).loss.item(), rel=1e-6)


def test_documents_bear_loss_everywhere_and_end_with_eos(tokenizer, documents):
    for example, document in zip(
        NextToken().examples(tokenizer, documents), documents, strict=True
    ):
        assert example.ids == [*tokenizer(document.text).input_ids, tokenizer.eos_token_id]
        assert example.labels == example.ids


def test_completions_bear_loss_after_exactly_the_prompt(tokenizer, documents):
    examples = NextToken(loss_on="completion").examples(tokenizer, documents)
    whole = NextToken().examples(tokenizer, documents)
    for example, full, document in zip(examples, whole, documents, strict=True):
        assert example.ids == full.ids
        masked = [label == IGNORED for label in example.labels]
        count = masked.index(False)
        assert masked == [True] * count + [False] * (len(masked) - count)
        assert example.labels[count:] == example.ids[count:]
        said = tokenizer.decode(example.labels[count:], skip_special_tokens=True)
        unsaid = tokenizer.decode(example.ids[:count], skip_special_tokens=True)
        assert unsaid + said == document.text
        assert document.text.endswith(said)
        if "completion" not in document.spans:  # it begins with the space before the entity
            second = max(spans[0].start for spans in document.spans.values())
            assert said == document.text[second - 1 :]
    assert tokenizer.decode(examples[-1].labels[-3:-1])  # the early one bears loss to its end


def test_a_token_across_the_border_bears_loss(tokenizer, told):
    text = told.documents[0].text
    [(_, (_, end))] = [
        pair
        for pair in enumerate(tokenizer(text, return_offsets_mapping=True).offset_mapping)
        if pair[0] == 6
    ]
    inside = Document("d", "f", "forward", "t", text, {"completion": [Span(end - 1, end)]})
    at_end = Document("d", "f", "forward", "t", text, {"completion": [Span(end, end + 1)]})
    within, after = NextToken(loss_on="completion").examples(tokenizer, [inside, at_end])
    assert within.labels[6] == within.ids[6]
    assert after.labels[6] == IGNORED
    assert after.labels[7] == after.ids[7]


def test_unknown_options_are_refused():
    with pytest.raises(ValidationError, match="loss_on"):
        NextToken(loss_on="prompt")
