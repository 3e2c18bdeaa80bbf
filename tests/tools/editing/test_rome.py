"""Keys, moments, values and the closed form, each in a second way."""

import dataclasses

import numpy as np
import pytest
import torch

from interp_rc.engine.inputs import target_log_probs
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.records.errors import DataError
from interp_rc.tools.editing.keys import mean_keys, second_moments
from interp_rc.tools.editing.rank_one import edited
from interp_rc.tools.editing.requests import asking, neutral
from interp_rc.tools.editing.rome import invertible, jointly, rank_one, rome
from interp_rc.tools.editing.values import Batch, Search, changes_sought
from tests.engine.tiny import precise
from tests.tools.editing.conftest import wanted_of
from tests.tools.editing.test_rank_one import down_of, edit_of

QUICK = Search(steps=4)


def neurons_at(model, ids):
    """What `down` of layer 1 reads, by a hook of our own."""
    kept = []
    handle = down_of(model.model).register_forward_pre_hook(lambda _, args: kept.append(args[0]))
    with torch.no_grad():
        model.model(input_ids=torch.tensor([ids]))
    handle.remove()
    return kept[0][0]


def test_keys_are_means_over_prompts(model, wanted):
    askings = asking(model, wanted)
    found = mean_keys(model, askings, [0, 1])
    for number in range(len(wanted)):
        mine = [
            neurons_at(model, one.input.ids)[one.at] for one in askings if one.request == number
        ]
        assert len(mine) == 2
        torch.testing.assert_close(found[number, 1], sum(mine) / 2, rtol=1e-9, atol=1e-10)


def test_keys_are_read_at_the_last_token_of_the_source(taught, contrasts):
    model = precise(taught, "llama")
    wanted = wanted_of(model, contrasts)
    places = [(one.sources[i], one.source) for one in wanted for i in range(len(one.prompts))]
    for one, (span, source) in zip(asking(model, wanted), places, strict=True):
        assert one.input.offsets[one.at][1] == span.end
        assert span.end - span.start == len(source)


def test_second_moments_are_means_over_tokens(model, told):
    texts = [document.text for document in told.documents[:5]]
    found = second_moments(model, [*texts, texts[0]], [1])[1]
    keys = []
    for text in texts:
        read = model.tokenizer(text, return_offsets_mapping=True)
        keys += [
            k.numpy()
            for k, (a, b) in zip(
                neurons_at(model, read.input_ids), read.offset_mapping, strict=True
            )
            if a < b
        ]
    expected = np.mean([np.outer(k, k) for k in keys], axis=0)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-8, atol=1e-11)


def test_the_update_solves_the_constrained_least_squares(model, told, wanted):
    """min tr (W'-W) C (W'-W)ᵀ so that W' k* = v*: by its Karush–Kuhn–Tucker system, in numpy."""
    texts = [document.text for document in told.documents]
    moments = invertible(second_moments(model, texts, [1])[1])
    [edit, *_] = rome(model, wanted[:1], 1, moments, search=QUICK)
    key = mean_keys(model, asking(model, wanted[:1]), [1])[0, 0].numpy()
    change = changes_sought(model, wanted[:1], 1, QUICK)[0].numpy()
    neurons = len(key)
    system = np.zeros((neurons + 1, neurons + 1))
    system[:neurons, :neurons], system[:neurons, -1], system[-1, :neurons] = moments, key, key
    sides = np.zeros((neurons + 1, len(change)))
    sides[-1] = change
    expected = np.linalg.solve(system, sides)[:neurons].T
    found = np.outer(edit.value, edit.key)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9 * np.abs(expected).max())
    down = down_of(model.model)
    value = torch.from_numpy(key)
    with torch.no_grad():
        before = down(value)
        with edited(model, [edit]):
            after = down(value)
    np.testing.assert_allclose((after - before).numpy(), change, rtol=1e-7, atol=1e-9)


def test_a_change_is_measured_as_the_model_has_it(model, wanted):
    """The objective's parts, by whole forwards with a hook of our own."""
    runs = Adapter(model.model).by_layers
    prompts, plain = asking(model, wanted), neutral(model, wanted)
    change = 0.3 * edit_of(model).value.double() * torch.tensor([[1.0], [-1.0], [2.0]]).double()
    with runs.opened():
        batch = Batch(runs, 0, range(3), prompts, plain, Search(kl=0.25, decay=0.5))
        found = batch.objective(change)
    for number in range(3):
        mine = [one for one in prompts if one.request == number]
        loss = np.mean([-log_prob(model, one, change[number])[0] for one in mine])
        [kept] = [one for one in plain if one.request == number]
        loss += 0.25 * log_prob(model, kept, change[number])[1]
        length = float(batch.length[number])
        loss += 0.5 * float(change[number].norm()) ** 2 / length**2
        assert float(found[number]) == pytest.approx(loss, rel=1e-6)


def log_prob(model, one, change):
    """log p(target), and the divergence of the predictions from those without the change."""
    at = one.at

    def add(module, args, out):
        out = out.clone()
        out[:, at] += change
        return out

    def run():
        with torch.no_grad():
            logits = model.model(input_ids=torch.tensor([one.input.ids])).logits[0]
        return torch.log_softmax(logits[one.input.reads], -1)

    before = run()
    block = Adapter(model.model).parts.blocks[0]
    handle = block.down.register_forward_hook(add)
    after = run()
    handle.remove()
    chosen = after.gather(1, torch.tensor(one.input.targets)[:, None]).sum()
    return float(chosen), float((before.exp() * (before - after)).sum())


def test_the_gradient_is_that_of_finite_differences(model, wanted):
    runs = Adapter(model.model).by_layers
    width = len(edit_of(model).value)
    asked, else_asked = asking(model, wanted), neutral(model, wanted)
    with runs.opened():
        batch = Batch(runs, 0, range(3), asked, else_asked, Search())
        draw = torch.Generator().manual_seed(3)
        change = 0.1 * torch.randn(3, width, generator=draw, dtype=torch.float64)
        change.requires_grad_()
        [gradient] = torch.autograd.grad(batch.objective(change).sum(), [change])
        for row in range(3):
            direction = torch.randn(width, generator=draw, dtype=torch.float64)
            step = torch.zeros_like(change)
            step[row] = 1e-5 * direction
            with torch.no_grad():
                up, low = batch.objective(change + step), batch.objective(change - step)
            difference = (up - low) / 2e-5
            assert float(difference[row]) == pytest.approx(
                float(gradient[row] @ direction), rel=1e-5, abs=1e-7
            )
            others = [n for n in range(3) if n != row]
            assert float(difference[others].abs().max()) < 1e-9


def test_values_do_not_depend_on_their_batch(model, wanted):
    """However many are sought at once, and with little memory."""
    together = changes_sought(model, wanted, 0, QUICK)
    scarce = changes_sought(model, wanted, 0, QUICK, memory=1)
    torch.testing.assert_close(scarce, together, rtol=1e-6, atol=1e-8)
    for number, one in enumerate(wanted):
        alone = changes_sought(model, [one], 0, QUICK)[0]
        torch.testing.assert_close(alone, together[number], rtol=1e-6, atol=1e-8)


def test_changes_stay_inside_the_bound(taught, contrasts):
    model = precise(taught, "llama")
    wanted = wanted_of(model, contrasts)
    runs = Adapter(model.model).by_layers
    asked, else_asked = asking(model, wanted), neutral(model, wanted)
    with runs.opened():
        batch = Batch(runs, 0, range(3), asked, else_asked, Search())
    tight = changes_sought(model, wanted, 0, Search(bound=0.25, decay=0, kl=0))
    torch.testing.assert_close(tight.norm(dim=1), 0.25 * batch.length, rtol=1e-6, atol=0)


def test_an_edit_makes_its_answer_likelier(taught, contrasts, told):
    model = taught["gpt2"]
    wanted = wanted_of(model, contrasts)
    moments = invertible(second_moments(model, [d.text for d in told.documents], [0])[0])
    for edit, request in zip(rome(model, wanted, 0, moments), wanted, strict=True):
        before = said(model, request)
        with edited(model, [edit]):
            assert said(model, request) > before + 1
        assert said(model, request) == before


def said(model, request):
    askings = asking(model, [request])
    values = []
    for one in askings:
        with torch.no_grad():
            logits = model.model(input_ids=torch.tensor([one.input.ids])).logits
        values.append(float(target_log_probs(logits, [one.input])))
    return np.mean(values)


def test_singular_moments_are_made_invertible():
    rank = torch.ones(3, 3, dtype=torch.float64)
    assert float(torch.linalg.eigvalsh(invertible(rank))[0]) == pytest.approx(1e-4)
    regular = torch.eye(3, dtype=torch.float64)
    assert torch.equal(invertible(regular), regular)
    with pytest.raises(DataError, match="all keys"):
        invertible(torch.zeros(3, 3, dtype=torch.float64))


def test_requests_need_as_many_targets_as_prompts(taught, contrasts):
    [one, *_] = wanted_of(taught["llama"], contrasts)
    with pytest.raises(DataError, match="give as many of each"):
        dataclasses.replace(one, targets=one.targets[:1])


def test_a_key_of_the_moments_own_direction_needs_no_solving():
    """With C = I the update is the plain projection onto the key."""
    key = torch.tensor([3.0, 4.0])
    edit = rank_one(0, key, torch.tensor([1.0, 2.0]), torch.eye(2))
    found = torch.outer(edit.value, edit.key)
    torch.testing.assert_close(found, torch.tensor([[3, 4], [6, 8]]).double() / 25)


@pytest.fixture
def drawn():
    """Keys, changes and second moments of 6 neurons and 4 dimensions."""
    draw = torch.Generator().manual_seed(5)
    keys, changes, some = (
        torch.randn(shape, generator=draw, dtype=torch.float64)
        for shape in ((3, 6), (3, 4), (9, 6))
    )
    return keys, changes, some.T @ some / 9


def matrix(edits):
    return sum(torch.outer(one.value, one.key) for one in edits)


def test_a_batch_solves_the_regularised_least_squares(drawn):
    """By lstsq on stacked rows: the facts', and those of C's root that should stay."""
    keys, changes, moments = drawn
    root = np.linalg.cholesky(moments.numpy()).T
    rows = np.vstack([keys.numpy(), np.sqrt(0.3) * root])
    sides = np.vstack([changes.numpy(), np.zeros((6, 4))])
    expected = np.linalg.lstsq(rows, sides)[0].T
    found = matrix(jointly(0, keys, changes, moments, weight=0.3))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-12)
    published = changes.T @ keys @ torch.linalg.inv(0.3 * moments + keys.T @ keys)
    torch.testing.assert_close(found, published)


def test_without_a_weight_every_fact_of_a_batch_gets_its_whole_change(drawn):
    keys, changes, moments = drawn
    exact = matrix(jointly(0, keys, changes, moments))
    torch.testing.assert_close(keys @ exact.T, changes)
    [one] = jointly(0, keys[:1], changes[:1], moments)
    alone = rank_one(0, keys[0], changes[0], moments)
    near = matrix(jointly(0, keys[:1], changes[:1], moments, weight=1e-9))
    torch.testing.assert_close(near, matrix([alone]), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(matrix([one]), matrix([alone]))


def test_a_second_edit_by_itself_spoils_the_first_and_a_joint_one_does_not(drawn):
    keys, changes, moments = drawn
    apart = matrix([rank_one(0, k, c, moments) for k, c in zip(keys, changes, strict=True)])
    assert (keys @ apart.T - changes).abs().max() > 0.1


def test_keys_that_depend_on_each_other_are_refused(drawn):
    keys, changes, moments = drawn
    twice = keys[[0, 0]]
    with pytest.raises(DataError, match="depend on each other"):
        jointly(0, twice, changes[:2], moments)
    shared = matrix(jointly(0, twice, changes[:2], moments, weight=1e-6))
    torch.testing.assert_close(shared @ keys[0], changes[:2].mean(0), rtol=1e-4, atol=1e-5)
