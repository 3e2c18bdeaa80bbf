"""The released sum is what it is said to be, token by token by hand; and the right one is right."""

import pytest
import torch

from analysis.paper.released_span import Case, released_sums, released_tokens, span_table

pytestmark = pytest.mark.slow

LETTERS = {0: "<pad>", 1: "<s>", 2: "A:", 3: " Mary", 4: " Lee", 5: " Jane", 6: "?"}
PROMPT = "?A:"


def letters(ids):
    return "".join(LETTERS[i] for i in ids)


@pytest.mark.parametrize(
    ("ids", "scored"),
    [
        ([1, 6, 2, 3, 4], [2, 3]),  # <s>? is longer than the prompt; the last of the target is not
        ([6, 2, 3, 4], []),  # no <s>: the first token of the target is passed over
        ([1, 6, 2, 3, 4, 0], [2, 3, 4]),  # one pad: it takes the last column
        ([1, 6, 2, 3, 4, 0, 0, 0], [2, 3, 4, 5, 6]),  # all pads but the last
        ([0, 0, 1, 6, 2, 3, 4], [1, 2, 3, 4, 5]),  # <pad> is longer than the prompt
    ],
)
def test_which_tokens_are_scored(ids, scored):
    assert list(released_tokens(ids, PROMPT, letters)) == scored


PROMPTS = ["A person who is and", "The name of the", "Who was it that wrote and"]
TARGETS = [" the first of all those", " Anna", " wrote the long letters"]


def by_hand(loaded, ids):
    """The log-probability of every token but the first, one prefix at a time."""
    model, _ = loaded
    with torch.no_grad():
        return [
            float(model(torch.tensor([ids[:t]])).logits[0, -1].double().log_softmax(-1)[ids[t]])
            for t in range(1, len(ids))
        ]


def tokens_of(tokenizer, prompt, target):
    """Ids of the whole, and where the target begins; a boundary that no token reaches across."""
    ids, before = tokenizer(prompt + target).input_ids, tokenizer(prompt).input_ids
    assert ids[: len(before)] == before
    assert len(tokenizer.decode(before[-1:])) > 2  # so that <s> does not move the start
    return ids, len(before)


def test_alone_the_last_token_of_the_target_is_left_out(tiny):
    sums = released_sums(tiny, PROMPTS, TARGETS, together=1)
    for found, prompt, target in zip(sums, PROMPTS, TARGETS, strict=True):
        ids, start = tokens_of(tiny.tokenizer, prompt, target)
        said = by_hand(tiny, ids)
        assert float(found) == pytest.approx(sum(said[start - 1 : -1]), abs=1e-4)
        assert said[-1] < -1e-2  # what was left out is not nothing


def test_padded_on_the_right_the_padding_is_scored_but_for_one_token(tiny):
    model, tokenizer = tiny
    sums = released_sums(tiny, PROMPTS, TARGETS, side="right")
    longest = max(len(tokenizer(p + t).input_ids) for p, t in zip(PROMPTS, TARGETS, strict=True))
    kinds = set()
    for found, prompt, target in zip(sums, PROMPTS, TARGETS, strict=True):
        ids, start = tokens_of(tokenizer, prompt, target)
        pads = longest - len(ids)
        kinds.add(pads > 1)
        if not pads:
            expected = sum(by_hand(tiny, ids)[start - 1 : -1])
        else:  # of the paddings' own sum, as the model reads them: behind a mask
            row = torch.tensor([ids + [tokenizer.pad_token_id] * pads])
            mask = torch.tensor([[1] * len(ids) + [0] * pads])
            with torch.no_grad():
                logits = model(row, attention_mask=mask).logits[0].double().log_softmax(-1)
            after = range(len(ids) - 1, longest - 2)
            expected = sum(by_hand(tiny, ids)[start - 1 :])
            expected += sum(float(logits[t, tokenizer.pad_token_id]) for t in after)
        assert float(found) == pytest.approx(expected, abs=1e-3)
    assert kinds == {True, False}


def test_the_table_sets_the_right_sum_beside_the_released_one(taught):
    loaded = taught["llama"]
    cases = [Case(str(i % 2), p, t) for i, (p, t) in enumerate(zip(PROMPTS, TARGETS, strict=True))]
    table = span_table(loaded, {"all": cases}, seed=0).set_index("padding")
    one_by_one = [
        sum(by_hand(loaded, ids)[start - 1 :])
        for ids, start in (tokens_of(loaded.tokenizer, c.prompt, c.target) for c in cases)
    ]
    assert list(table.index) == ["none", "right", "left"]
    assert table.right.to_numpy() == pytest.approx(sum(one_by_one) / 3, abs=1e-4)
    assert table.share_differing["none"] == 1
    assert (table.released["none"] > table.right["none"]).all()
    wrong = released_sums(loaded, PROMPTS, TARGETS).numpy() - one_by_one
    assert table.value["right"] == pytest.approx((wrong[[0, 2]].mean() + wrong[1]) / 2, abs=1e-4)
