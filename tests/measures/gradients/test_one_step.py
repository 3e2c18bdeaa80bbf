"""One step of training, against one taken by hand; planted steps; what is left afterwards."""

import copy

import numpy as np
import pytest
import torch

from interp_rc.evaluation.queries import both_ways
from interp_rc.measures.gradients import one_step as module
from interp_rc.measures.gradients.one_step import (
    add_steps,
    elsewhere,
    log_probs,
    one_step,
    stepped,
    telling,
)
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded
from interp_rc.records.estimates import Estimates
from interp_rc.tools.probing.source_streams import streams_at_source
from interp_rc.training.objectives.next_token import NextToken
from interp_rc.training.options import TrainingOptions

TRAINING = TrainingOptions(learning_rate=0.01, weight_decay=0.1)


def weights(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("loss_on", ["document", "completion"])
def test_the_step_is_adamws_first_and_is_undone(tiny, told, loss_on):
    """The closed form: decay of matrices, then learning rate x g / (|g| + epsilon)."""
    training = TRAINING.model_copy(update={"objective": NextToken(loss_on=loss_on)})
    document = told.documents[-1]  # not one of those known by heart, whose gradients are noise
    model = copy.deepcopy(tiny.model).requires_grad_(True)
    encoded = tiny.tokenizer(document.text, return_offsets_mapping=True)
    ids = torch.tensor([*encoded.input_ids, tiny.tokenizer.eos_token_id])
    ends = [end for _, end in encoded.offset_mapping] + [len(document.text) + 1]
    start = 1 if loss_on == "document" else len(document.prompt) + 1
    bearing = [i for i in range(1, len(ids)) if loss_on == "document" or ends[i] >= start]
    rows = torch.log_softmax(model(input_ids=ids[None]).logits[0].float(), -1)
    (-torch.stack([rows[i - 1, ids[i]] for i in bearing]).mean()).backward()
    norm = torch.stack([p.grad.norm() for p in model.parameters()]).norm()
    scale = min(1.0, training.clip / (norm.item() + 1e-6))
    before = weights(tiny.model)
    expected = {}
    for name, p in model.named_parameters():
        decay = 1 - 0.01 * 0.1 * (p.ndim > 1)
        g = p.grad * scale
        # Where the gradient is as small as rounding, its sign is anyone's guess.
        certain = g.abs() > 1e-3 * g.abs().max()
        expected[name] = p.detach() * decay - 0.01 * g / (g.abs() + 1e-8), certain
    with stepped(tiny, [document], training):
        during = weights(tiny.model)
        for name, (value, certain) in expected.items():
            torch.testing.assert_close(during[name][certain], value[certain], rtol=1e-4, atol=1e-4)
        assert sum(int(certain.sum()) for _, certain in expected.values()) > 1000
    after = weights(tiny.model)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not any(p.requires_grad or p.grad is not None for p in tiny.model.parameters())
    assert not any(torch.equal(during[name], before[name]) for name in before if "embed" in name)


def test_the_step_is_undone_when_the_measurement_fails(taught, told):
    loaded = taught["gpt2"]
    before = weights(loaded.model)
    with pytest.raises(KeyError), stepped(loaded, told.documents[:2], TRAINING):
        raise KeyError
    assert all(torch.equal(p, before[name]) for name, p in loaded.model.named_parameters())


def test_a_telling_is_the_query_as_a_sentence(told):
    query = next(q for q in told.queries if q.order == "backward")
    document = telling(query)
    fact = next(f for f in told.facts if f.id == query.fact)
    assert document.text.startswith(query.prompt + query.target)
    assert (document.fact, document.order) == (query.fact, "backward")
    (name,) = document.spans["subject"]
    assert document.text[name.start : name.end] == fact.subject
    assert document.prompt == query.prompt


def test_what_a_name_gains_everywhere_is_not_bound_to_its_prompt():
    everywhere = np.zeros((4, 4))
    everywhere[:, 0] = 7.0
    assert elsewhere(everywhere) == pytest.approx(7)
    bound = np.zeros((4, 4))
    bound[0, 0] = 7.0
    assert elsewhere(bound) == 0
    right = np.diag([0.0, 5, 5, 5])  # the others' own targets are not among the wrong ones
    assert elsewhere(right) == 0
    assert elsewhere(np.array([[1.0, 2], [3, 4]])) == -1


def by_hand(loaded, prompt, target):
    ids = loaded.tokenizer(prompt + target, return_offsets_mapping=True)
    start = min(i for i, (_, end) in enumerate(ids.offset_mapping) if end > len(prompt))
    with torch.no_grad():
        rows = torch.log_softmax(
            loaded.model(input_ids=torch.tensor([ids.input_ids])).logits[0].double(), -1
        )
    return sum(rows[i - 1, ids.input_ids[i]].item() for i in range(start, len(ids.input_ids)))


def test_streams_are_those_at_the_last_token_of_the_entity(tiny, told):
    adapter, cell = Adapter(tiny.model), both_ways(told.queries, "both")
    queries = [*cell.reverse[0], *cell.same[0]]
    found = streams_at_source(tiny, adapter, queries)
    for row, query in enumerate(queries):
        encoded = tiny.tokenizer(query.prompt + query.target, return_offsets_mapping=True)
        starts = [i for i, (a, _) in enumerate(encoded.offset_mapping) if a < query.source.end]
        with torch.no_grad():
            states = tiny.model(
                input_ids=torch.tensor([encoded.input_ids]), output_hidden_states=True
            ).hidden_states
        at = torch.stack([state[0, starts[-1]] for state in states[:-1]])
        torch.testing.assert_close(found[row, :-1], at.double(), rtol=1e-4, atol=1e-5)
        covered = encoded.offset_mapping[starts[-1]]
        assert covered[0] < query.source.end <= covered[1]


@pytest.mark.slow
def test_the_table_holds_the_changes(taught, told):
    """Of a fact told description first, whose forward telling is the control."""
    base = Loaded(copy.deepcopy(taught["llama"].model), taught["llama"].tokenizer)
    table = one_step(base, told, TRAINING, steps_on=2, seed=3)
    assert table.groupby("group").fact.nunique().to_dict() == {
        "trained_forward": 2,
        "trained_backward": 2,
        "both": 2,
    }
    rows = table[(table.group == "trained_backward") & (table.step == "other_order")]
    fact = rows.fact.iloc[0]
    rows = rows[rows.fact == fact]
    cell = both_ways(told.queries, "trained_backward")
    place = [q.fact for q in cell.same[0]].index(fact)
    others = [i for i in range(3) if i != place]
    adapter = Adapter(base.model)

    def now():
        nats = [
            [[by_hand(base, p.prompt, t.target) for t in some] for p in some]
            for some in (cell.same[0], cell.reverse[0])
        ]
        return np.array(nats), streams_at_source(base, adapter, cell.reverse[0])

    nats, streams = now()
    with stepped(base, [telling(cell.reverse[1][place])], TRAINING):
        nats_after, streams_after = now()
    for of, change in zip(("same", "reverse"), nats_after - nats, strict=True):
        target = rows[(rows.quantity == "target") & (rows.of == of)].iloc[0]
        assert target.own == pytest.approx(change[place, place], abs=1e-3)
        assert target.others == pytest.approx(change[place, others].mean(), abs=1e-3)
        bound = rows[(rows.quantity == "bound") & (rows.of == of)].iloc[0]
        one, two = others
        wrong = (change[one, two] + change[two, one]) / 2
        expected = target.difference - (change[others, place].mean() - wrong)
        assert bound.difference == pytest.approx(expected, abs=2e-3)
    moved = (streams_after - streams).norm(dim=-1) / streams.norm(dim=-1)
    named = rows[(rows.quantity == "movement") & (rows.of == "name")]
    assert named.layer.isna().tolist() == [True, False, False]
    np.testing.assert_allclose(named.own, moved[place], rtol=1e-3)
    np.testing.assert_allclose(named.others, moved[others].mean(0), rtol=1e-3)


@pytest.mark.slow
def test_a_step_on_one_order_binds_that_order(told, tokenizer, taught):
    """The control can tell: each step raises the order it tells, bound to its prompt."""
    base = Loaded(copy.deepcopy(taught["llama"].model), tokenizer)
    table = one_step(base, told, TRAINING, steps_on=3, seed=0)
    bound = table[table.quantity == "target"].groupby(["step", "of"]).difference.mean()
    assert bound["told", "same"] > 1
    assert bound["other_order", "reverse"] > 1


def test_estimates_are_means_of_the_differences(taught, told, monkeypatch):
    monkeypatch.setattr(module, "OTHERS", 1)
    table = one_step(taught["gpt2"], told, TRAINING, steps_on=3, seed=3)
    found = Estimates()
    add_steps(found, table, 0)
    assert len(found) == 3 * (2 * 2 * 2 + 2 * 3)
    rows = table[(table.group == "both") & (table.step == "told")]
    for name, quantity, of, layer in (
        ("one_step.both.told.reverse.bound", "bound", "reverse", None),
        ("movement.both.name.embedding", "movement", "name", None),
        ("movement.both.description.layer_1", "movement", "description", 1),
    ):
        part = rows[(rows.quantity == quantity) & (rows.of == of)]
        part = part[part.layer.isna() if layer is None else (part.layer == layer).fillna(False)]
        assert len(part) == 3
        assert found[name].value == pytest.approx((part.own - part.others).mean())


def test_log_probs_are_of_each_target_after_each_prompt(tiny, told):
    cell = both_ways(told.queries, "both")
    queries = cell.reverse[0]
    _, found = log_probs(tiny, cell.same[0][:2], queries)
    for i, prompt in enumerate(queries):
        for j, target in enumerate(queries):
            expected = by_hand(tiny, prompt.prompt, target.target)
            assert found[i, j] == pytest.approx(expected, abs=1e-3)
