"""Movement against a hand loop of AdamW, gradients against differences, and planted movement."""

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from interp_rc.evaluation.queries import both_ways
from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import write_facts
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.movement import measure as module
from interp_rc.measures.movement.entity_places import (
    At,
    Entity,
    gradient_norms,
    in_the_place_of,
    movements,
    places_of,
    representations,
)
from interp_rc.measures.movement.estimates import moved, movement_estimates, second_of, sides
from interp_rc.measures.movement.measure import (
    TABLE,
    Movement,
    by_finetuning,
    by_steps,
    halves,
)
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded, save
from interp_rc.records.errors import DataError, ScoringError
from interp_rc.records.files import write_yaml
from interp_rc.records.runs import Run
from interp_rc.tools.gradients.parameter_groups import parameters_of
from interp_rc.training.batches import plan_batches
from interp_rc.training.options import TrainingOptions
from tests.conftest import SHAPES, untaught
from tests.engine.tiny import precise

TRAINING = TrainingOptions(learning_rate=0.01, weight_decay=0.1, batch_size=4)


@pytest.fixture(scope="module")
def four():
    return fictitious_people(0, per_group=4, training_templates=3, held_out_templates=2)


def untied(loaded):
    """The same model with a matrix of its own for its output rows, of other values."""
    model = copy.deepcopy(loaded.model)
    model.config.tie_word_embeddings = False
    head = model.get_output_embeddings()
    other = head.weight.detach().flip(1).clone()
    head.weight = torch.nn.Parameter(other, requires_grad=False)
    return Loaded(model, loaded.tokenizer)


def entities_of(facts, group="both"):
    cell = both_ways(facts.queries, group)
    by_id = {fact.id: fact for fact in facts.facts}
    return [Entity(by_id[q.fact].subject, q) for q in cell.same[0]] + [
        Entity(by_id[q.fact].object, q) for q in cell.reverse[0]
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "tied"), [*((shape, True) for shape in SHAPES), ("llama", False), ("gpt2", False)]
)
def test_movement_is_that_of_a_hand_loop(tokenizer, four, shape, tied):
    """Batches of the run's plan, AdamW written out, streams by the model's own hidden states."""
    base = untaught(tokenizer, shape, context=192)
    base = Loaded(base.model.requires_grad_(False), tokenizer)
    base = base if tied else untied(base)
    weights = [p.detach().clone() for p in base.model.parameters()]
    table = by_steps(base, four, TRAINING, steps=3, seed=5)
    assert all(torch.equal(*both) for both in zip(base.model.parameters(), weights, strict=True))
    assert not any(p.requires_grad or p.grad is not None for p in base.model.parameters())
    assert set(table.tied) == {tied}

    told, untold = halves(four, "trained_forward", 5)
    documents = [d for d in four.documents if d.fact in {f.id for f in told}]
    encoded = [[*base.tokenizer(d.text).input_ids, base.tokenizer.eos_token_id] for d in documents]
    seed = module.derive_seed(5, "batches")
    plan = plan_batches([*map(len, encoded)], batch_size=4, epochs=2, seed=seed)
    model = copy.deepcopy(base.model).requires_grad_(True)
    states = {p: [torch.zeros_like(p), torch.zeros_like(p)] for p in model.parameters()}
    for step, batch in enumerate(plan[:2], start=1):
        losses = []
        for ids in (torch.tensor(encoded[i]) for i in batch):
            rows = torch.log_softmax(model(input_ids=ids[None]).logits[0].float(), -1)
            losses += [-rows[i - 1, ids[i]] for i in range(1, len(ids))]
        gradients = torch.autograd.grad(torch.stack(losses).mean(), list(states))
        norm = torch.stack([g.norm() for g in gradients]).norm()
        with torch.no_grad():
            for (p, state), g in zip(states.items(), gradients, strict=True):
                g = g * min(1.0, 1 / (norm.item() + 1e-6))
                state[0].mul_(0.9).add_(g, alpha=0.1)
                state[1].mul_(0.99).add_(g * g, alpha=0.01)
                p.mul_(1 - 0.01 * 0.1 * (p.ndim > 1))
                root = (state[1] / (1 - 0.99**step)).sqrt()
                p.sub_(0.01 * state[0] / (1 - 0.9**step) / (root + 1e-8))

    rows = table[(table.group == "trained_forward") & (table.quantity == "movement")]
    rows = rows[rows.steps == 2].set_index(["fact", "of", "place", "layer"])
    cell = both_ways(four.queries, "trained_forward")
    naming = {"name": (cell.same[0], "subject"), "description": (cell.reverse[0], "object")}
    for of, (queries, role) in naming.items():
        query_of = {query.fact: query for query in queries}
        for fact, other in zip(told, untold, strict=True):
            # Whose fact was told in this half of the design, and whose was not.
            for who, column in ((fact, "own"), (other, "others")):
                ids = base.tokenizer(f" {getattr(who, role)}", add_special_tokens=False).input_ids
                for place, get in (
                    ("input_embedding", "get_input_embeddings"),
                    ("output_rows", "get_output_embeddings"),
                ):
                    old, new = (getattr(m, get)().weight[ids] for m in (base.model, model))
                    found = rows.loc[(who.id, of, place, pd.NA), column]
                    expected = ((new - old).norm() / old.norm()).item()
                    assert found == pytest.approx(expected, rel=2e-2)
                at = stream_at(base, query_of[who.id])
                old, new = (at(m) for m in (base.model, model))
                found = rows.loc[(who.id, of, "resid_post", 0), column]
                expected = ((new - old).norm() / old.norm()).item()
                assert found == pytest.approx(expected, rel=2e-2)


def stream_at(loaded, query):
    encoded = loaded.tokenizer(query.prompt, return_offsets_mapping=True)
    last = max(i for i, (a, _) in enumerate(encoded.offset_mapping) if a < query.source.end)
    ids = torch.tensor([encoded.input_ids])

    def at(model, layer=0):
        with torch.no_grad():
            return model(input_ids=ids, output_hidden_states=True).hidden_states[layer + 1][0, last]

    return at


def test_steps_are_looked_at_where_they_double(taught, four):
    base = Loaded(copy.deepcopy(taught["llama"].model), taught["llama"].tokenizer)
    table = by_steps(base, four, TRAINING, steps=5, seed=0)
    moves = table[table.quantity == "movement"]
    assert sorted(moves.steps.unique()) == [1, 2, 4, 5]
    assert sorted(table[table.quantity == "gradient"].steps.unique()) == [0, 1, 2, 4, 5]
    told, untold = halves(four, "both", 0)
    assert len(told) == len(untold) == 2
    assert not {f.id for f in told} & {f.id for f in untold}
    both = moves[moves.group == "both"]
    assert set(both.fact) == {f.id for f in [*told, *untold]}
    orders = table[table.quantity == "gradient"].groupby("group").order.unique()
    assert sorted(orders["both"]) == ["backward", "forward"]
    assert list(orders["trained_backward"]) == ["backward"]
    estimates = movement_estimates(table, 0)
    assert len(estimates) == 4 * 3 * 2 * 4 + 4 * 4 + 2 * 4 * 2 * 4
    name = "movement.steps.pooled.step_4.second_less_first.layer_1"
    ends = []
    for group, first, second in (
        ("trained_forward", "name", "description"),
        ("trained_backward", "description", "name"),
    ):
        part = moves[(moves.steps == 4) & (moves.group == group)]
        part = part[(part.layer == 1).fillna(False)].set_index(["of", "fact"]).difference
        ends += (part[second] - part[first]).tolist()
    assert estimates[name].value == pytest.approx(np.mean(ends))
    tests = moved(table)
    assert len(tests) == 3 * 2 * 3 + 3  # tied: the one matrix once
    assert {t.correction for t in tests} == {"benjamini-hochberg"}


PLANTED = {
    "input_embedding": lambda m: [m.get_input_embeddings().weight],
    "resid_post 0": lambda m: [m.model.layers[0].mlp.down_proj.weight],
    "resid_post 1": lambda m: [m.model.layers[1].self_attn.v_proj.weight],
    "output_rows": lambda m: [m.get_output_embeddings().weight],
}


@pytest.mark.parametrize("place", PLANTED)
def test_movement_begins_where_it_was_planted(taught, four, place, monkeypatch):
    """Only one module may learn: the first place to move is its, and nothing moves before it."""
    base = untied(taught["llama"])
    free = {id(p) for p in PLANTED[place](base.model)}
    own = module.optimizer_of

    def confined(model, training):
        optimizer = own(model, training.model_copy(update={"weight_decay": 0.0}))
        for p in model.parameters():
            p.requires_grad_(id(p) in free)
        return optimizer

    monkeypatch.setattr(module, "optimizer_of", confined)
    monkeypatch.setattr(module, "_gradients", lambda *_: iter(()))
    table = by_steps(base, four, TRAINING, steps=2, seed=1)
    names = (table.place + " " + table.layer.astype("string")).fillna(table.place)
    moves = table.own.abs().groupby([table.group, names], sort=False).max()
    for group in moves.index.levels[0]:
        there = moves[group]
        at = list(there.index).index(place)
        assert there.iloc[:at].eq(0).all()
        assert there.iloc[at] > 1e-4
        if place != "output_rows":
            assert there["output_rows"] == 0


def loss_of(loaded, document, stretch, completion=False):
    """By a plain forward pass, with `stretch` hooks in place."""
    handles = stretch()
    ids = torch.tensor(
        [[*loaded.tokenizer(document.text).input_ids, loaded.tokenizer.eos_token_id]]
    )
    with torch.no_grad():
        rows = torch.log_softmax(loaded.model(input_ids=ids).logits[0], -1)
    for handle in handles:
        handle.remove()
    return -rows[:-1].gather(1, ids[0, 1:, None]).mean().item()


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["llama", "gpt_neox"])
def test_gradients_are_slopes(taught, four, shape):
    """Along the gradient itself, the loss changes by its norm; by central differences of the
    stream at B's and A's last token, and of the rows through one use of a tied matrix alone."""
    model = precise(taught, shape)
    document = next(d for d in four.documents if d.order == "forward")
    fact = next(f for f in four.facts if f.id == document.fact)
    training = TrainingOptions()
    adapter = Adapter(model.model)
    [found] = gradient_norms(model, adapter, [document], [(fact.subject, fact.object)], training)
    assert list(found) == [At("input_embedding"), At("output_rows"), *places_of(2)[1:3]]
    encoded = model.tokenizer(document.text, return_offsets_mapping=True)
    blocks = adapter.parts.blocks
    for number, role in enumerate(("subject", "object")):
        end = document.spans[role][0].end
        at = max(i for i, (a, _) in enumerate(encoded.offset_mapping) if a < end)
        for layer in range(2):
            expected = stream_slope(model, document, blocks[layer].whole, at)
            assert found[At("resid_post", layer)][number] == pytest.approx(expected, rel=1e-4)
    rows = model.tokenizer(f" {fact.subject}", add_special_tokens=False).input_ids
    slopes = {}
    for name, part in (
        ("input_embedding", adapter.parts.embeddings[0]),
        ("output_rows", adapter.parts.head),
    ):
        weight = part.weight.detach().clone()
        gradient = torch.zeros(len(rows), 8)
        for index in np.ndindex(*gradient.shape):
            ends = []
            for step in (1e-5, -1e-5):
                changed = weight.clone()
                changed[rows[index[0]], 4 * index[1]] += step
                ends.append(loss_with(model, document, part, changed))
            gradient[index] = (ends[0] - ends[1]) / 2e-5
        slopes[name] = gradient
    with parameters_of(model.model, adapter.parts):
        ids = torch.tensor([[*encoded.input_ids, model.tokenizer.eos_token_id]])
        matrices = [m.weight for m in (adapter.parts.embeddings[0], adapter.parts.head)]
        with torch.enable_grad():
            logits = model.model(input_ids=ids).logits
            loss = torch.nn.functional.cross_entropy(logits[0, :-1], ids[0, 1:])
            gradients = torch.autograd.grad(loss, matrices)
        for (name, expected), weight, whole in zip(
            slopes.items(), matrices, gradients, strict=True
        ):
            np.testing.assert_allclose(whole[rows][:, ::4], expected, atol=1e-6)
            norm = whole[rows].norm() * weight[rows].norm()
            assert found[At(name)][0] == pytest.approx(norm.item(), rel=1e-6)


def loss_with(loaded, document, part, weight):
    """The part reads another matrix, and nothing else does, though they are tied."""
    swap = (
        (lambda m, args, out: torch.nn.functional.embedding(args[0], weight))
        if isinstance(part, torch.nn.Embedding)
        else (lambda m, args, out: args[0] @ weight.T)
    )
    return loss_of(loaded, document, lambda: [part.register_forward_hook(swap)])


def stream_slope(loaded, document, block, at):
    """Norm of the gradient at one token by differences in every dimension, times the stream's."""
    kept = {}

    def moved_by(step):
        def hook(module, args, out):
            value = (out[0] if isinstance(out, tuple) else out).clone()
            kept["value"] = value[0, at].clone()
            value[0, at] += step
            return (value, *out[1:]) if isinstance(out, tuple) else value

        return lambda: [block.register_forward_hook(hook)]

    slopes = []
    for one in 1e-5 * torch.eye(32).double():
        up, down = (loss_of(loaded, document, moved_by(s)) for s in (one, -one))
        slopes.append((up - down) / 2e-5)
    return np.linalg.norm(slopes) * kept["value"].norm().item()


@pytest.mark.parametrize("shape", ["llama", "gpt_neox"])
def test_what_comes_second_is_pulled_by_what_follows_it_alone(taught, four, shape):
    """Structural in causal models: where the text ends with B, and no end of text is learnt, its
    last token gets no gradient at any layer; A's does. With the end of text behind it, it does."""
    model = Loaded(copy.deepcopy(taught[shape].model), copy.deepcopy(taught[shape].tokenizer))
    document = next(d for d in four.documents if d.order == "forward")
    end = document.spans["object"][0].end
    cut = dataclasses.replace(document, text=document.text[:end])
    fact = next(f for f in four.facts if f.id == document.fact)
    texts = [(fact.subject, fact.object)]
    adapter = Adapter(model.model)
    [closed] = gradient_norms(model, adapter, [cut], texts, TRAINING)
    model.tokenizer.eos_token = None
    [found] = gradient_norms(model, adapter, [cut], texts, TRAINING)
    for layer in range(2):
        first, second = found[At("resid_post", layer)]
        assert second == 0
        assert first > 1e-3
        assert closed[At("resid_post", layer)][1] > 1e-4
    assert found[At("output_rows")][1] > 1e-3  # as a target it is pulled all the same


def test_finetuning_is_compared_with_entities_it_never_named(taught, four, told):
    """In the very prompt of the fact; without known facts there is nothing to compare with."""
    base, model = taught["gpt2"], taught["gpt2"]
    changed = Loaded(copy.deepcopy(model.model), model.tokenizer)
    with torch.no_grad():
        changed.model.transformer.h[1].mlp.c_proj.weight.mul_(1.5)
    table = by_finetuning(base, changed, four, told.facts, seed=0)
    assert table.own.gt(0).eq((table.layer == 1).fillna(False)).all()
    assert table.others.gt(0).eq((table.layer == 1).fillna(False)).all()
    assert len(table) == 3 * 4 * 2 * 4
    query = both_ways(four.queries, "both").same[0][0]
    other = in_the_place_of(query, "Nobody At All")
    start = query.source.start
    assert other.prompt[start:].startswith("Nobody At All")
    assert other.prompt[:start] == query.prompt[:start]
    assert other.prompt.endswith(query.prompt[query.source.end :])
    assert other.source.end - start == len("Nobody At All")
    alone = by_finetuning(base, changed, four, [], seed=0)
    np.testing.assert_allclose(alone.own, table.own)
    assert alone.others.isna().all()
    found = movement_estimates(alone, 0)
    assert "movement.finetuned.both.name.layer_1.own" in found
    assert not any("pooled" in name for name in found)
    assert moved(alone) == []


def test_sides_are_by_the_order_of_telling(taught, four):
    assert [second_of(s) for s in ("trained_forward", "trained_backward", "both")] == [
        "description",
        "name",
        None,
    ]
    table = by_finetuning(taught["llama"], taught["qwen2"], four, four.facts, seed=0)
    found = sides(table)
    assert set(found.group) == {"trained_forward", "trained_backward"}
    row = found[(found.group == "trained_backward") & (found.place == "output_rows")].iloc[0]
    there = table[(table.fact == row.fact) & (table.place == "output_rows")].set_index("of")
    assert row["first"] == there.difference["description"]
    assert row.second == there.difference["name"]


def test_refused(told, taught, four):
    with pytest.raises(DataError, match="has 3 that a document tells; needed are 4"):
        Movement().check(told)
    Movement().check(four)
    with pytest.raises(ScoringError, match="fills in masks"):
        by_steps(precise(taught, "bert"), four, TRAINING, steps=1, seed=0)


def test_representations_name_every_place(tiny, four):
    some = entities_of(four)
    adapter = Adapter(tiny.model)
    found = representations(tiny, adapter, some)
    assert list(found) == places_of(2)
    at = stream_at(tiny, some[5].query)
    torch.testing.assert_close(
        found[At("resid_post", 0)][5], at(tiny.model).double(), rtol=1e-4, atol=1e-5
    )
    assert movements(found, found) == {place: [0.0] * len(some) for place in found}


@pytest.mark.slow
@pytest.mark.parametrize("trained", [True, False])
def test_the_measure_with_and_without_a_training(taught, four, tmp_path, trained):
    """Without one, the model itself is trained, with the default options, and nothing is said of
    a finetuning; its weights come back."""
    run, model = (
        Run(tmp_path),
        Loaded(copy.deepcopy(taught["llama"].model), taught["llama"].tokenizer),
    )
    training = TRAINING.model_dump(mode="json") if trained else None
    write_yaml(run.config_file, {"seed": 1, "name": "by-hand", "training": training})
    write_facts(four, run.facts)
    if trained:
        save(taught["llama"], run.base)
    weights = [p.detach().clone() for p in model.model.parameters()]
    found = run_measure(Movement(steps=1), MeasureContext(run, model))
    assert all(torch.equal(*both) for both in zip(model.model.parameters(), weights, strict=True))
    table = run.table(TABLE)
    assert set(table.phase) == ({"steps", "finetuned"} if trained else {"steps"})
    assert any("finetuned" in name for name in found.estimates) == trained
    options = TRAINING if trained else TrainingOptions()
    seed = module.derive_seed(1, "movement")
    again = by_steps(model, four, options, steps=1, seed=seed)
    pd.testing.assert_series_equal(table[table.phase == "steps"].own, again.own)
    if trained:  # the model is its own base here
        assert table[table.phase == "finetuned"].own.eq(0).all()
