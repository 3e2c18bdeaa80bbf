"""Prompts with targets as tokens, whose characters are known to the last."""

from dataclasses import replace

import pytest
import torch

from interp_rc.engine.inputs import (
    logits_of,
    positions,
    read_inputs,
    says_targets,
    target_log_probs,
)
from interp_rc.engine.sites import Site, tokens_of
from interp_rc.records.errors import DataError
from tests.engine.tiny import MASK, precise


def test_offsets_cover_prompt_and_target(taught, contrasts):
    model = taught["llama"]
    some = contrasts[:6]
    inputs = read_inputs(model, [c.clean for c in some], [c.target for c in some])
    for contrast, one in zip(some, inputs, strict=True):
        assert len(one.offsets) == len(one.ids)
        text = contrast.clean + contrast.target
        assert "".join(text[a:b] for a, b in one.offsets) == text
        assert text[: one.offsets[one.start - 1][1]] == contrast.clean


def test_both_entities_are_found_where_they_stand(taught, contrasts, told):
    """A and B of facts by id, as their own texts say, one of them in the target."""
    model, facts = taught["gpt2"], {fact.id: fact for fact in told.facts}
    for contrast in contrasts:
        other = next(f for f in told.facts if f.id == contrast.id.rpartition("|")[2])
        read = [
            read_inputs(model, [prompt], [contrast.target])[0]
            for prompt in (contrast.clean, contrast.corrupted)
        ]
        forward = contrast.order == "forward"
        in_corrupted = (other, facts[contrast.fact]) if forward else (facts[contrast.fact], other)
        for name, role, stands in (
            ("A", "subject", in_corrupted[0]),
            ("B", "object", in_corrupted[1]),
        ):
            pairs = tokens_of(
                contrast, Site("mlp_out", 0, name, "first"), *(one.offsets for one in read)
            )
            for which, fact, prompt in (
                (0, facts[contrast.fact], contrast.clean),
                (1, stands, contrast.corrupted),
            ):
                text = prompt + contrast.target
                at, end = read[which].offsets[pairs[0][which]]
                assert (at >= len(prompt)) == (forward == (name == "B"))
                span = contrast.spans[name][which]
                entity = getattr(fact, role)
                # Descriptions may be told with an article.
                assert text[span.start : span.end].lower().endswith(entity.lower()[-8:])
                assert text[at:end].strip() == text[span.start : end].strip()


def test_positions_are_those_of_the_longest_prompt(taught, contrasts):
    model = taught["llama"]
    same = [replace(c, corrupted=c.clean) for c in contrasts]
    inputs = read_inputs(model, [c.clean for c in same], [c.target for c in same])
    assert positions(model, same) == max(one.start for one in inputs)
    longer = replace(same[1], corrupted="x " + same[1].clean, line=7)
    with pytest.raises(DataError, match=r"\(line 7\): the clean prompt has .* name a span"):
        positions(model, [same[0], longer])


@pytest.mark.parametrize("shape", ["gpt2", "bert"])
def test_targets_are_scored_where_they_are_predicted(shape, taught):
    """In company of other lengths, by a softmax over one text at a time; in a masked model, at the
    masks."""
    model = precise(taught, shape)
    targets = [" a", " the name", " is"]
    prompts = ["Who is", "Known as the composer of", "a"]
    asked = [f"{one} {MASK} ." for one in prompts] if shape == "bert" else prompts
    inputs = read_inputs(model, asked, targets)
    logits = logits_of(model.model, inputs)
    found, said = target_log_probs(logits, inputs), says_targets(logits, inputs)
    for row, (prompt, target) in enumerate(zip(prompts, targets, strict=True)):
        before = model.tokenizer(prompt).input_ids
        wanted = model.tokenizer(target, add_special_tokens=False).input_ids
        ids = model.tokenizer(prompt + target).input_ids
        at = range(len(before) - 1, len(before) + len(wanted) - 1)
        if shape == "bert":
            ids, at = inputs[row].ids, inputs[row].reads
            assert [ids[n] for n in at] == [model.tokenizer.mask_token_id] * len(wanted)
        own = model.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        each = [own[n, token].item() for n, token in zip(at, wanted, strict=True)]
        assert found[row].item() == pytest.approx(sum(each), abs=1e-9)
        assert bool(said[row]) == (own[list(at)].argmax(-1).tolist() == wanted)
