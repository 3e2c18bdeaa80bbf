"""What the planted models promise, by plain loops over prompts."""

import copy
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from interp_rc.models.adapters.adapter import Adapter, Edit
from interp_rc.models.adapters.parts import Place
from interp_rc.models.load import load, save
from interp_rc.models.planted.plan import KINDS, SHAPES, At, Kind, Planted, Shape
from interp_rc.models.planted.plant import contrasts, plant
from interp_rc.models.planted.weights import exact
from interp_rc.models.scoring import score
from interp_rc.models.tokenizer import encode
from interp_rc.records.nouns import Contrast


def read(planted: Planted, text: str) -> tuple[list[int], list[tuple[int, int]]]:
    ((ids, offsets),) = encode(planted.loaded.tokenizer, [text])
    return ids, offsets


def token(planted: Planted, contrast: Contrast, at: At, side: int) -> int:
    ids, offsets = read(planted, (contrast.clean, contrast.corrupted)[side])
    if at.span == "prompt":
        return len(ids) - 1
    return offsets.index(tuple(contrast.spans["source"][side]))


def swapped(adapter: Adapter, planted: Planted, contrast: Contrast, ats: list[At]) -> Tensor:
    """Last logits: clean, corrupted, then corrupted with each of `ats` from clean, one a row."""
    places = list({at.place for at in ats})
    clean, corrupted = (
        torch.tensor([read(planted, text)[0]]) for text in (contrast.clean, contrast.corrupted)
    )
    with torch.no_grad(), adapter.hooked():
        top, found = adapter.run(clean, capture=places)
        rows = [top[0, -1], adapter.run(corrupted)[0][0, -1]]
        for at in ats:
            value = found[at.place][0, token(planted, contrast, at, 0)]
            position = token(planted, contrast, at, 1)
            edit = Edit(torch.tensor([0]), torch.tensor([position]), value[None])
            rows.append(adapter.run(corrupted, edits={at.place: edit})[0][0, -1])
    return torch.stack(rows)


def truths(kind: Kind, shape: Shape, seed: int, every: int = 5) -> dict[str, float]:
    """Worst case over every fifth contrast of each order."""
    start = time.perf_counter()
    planted = plant(kind, shape, seed)
    took = time.perf_counter() - start
    model, tokenizer = planted.loaded
    single = all_right(planted)
    whole = exact(model)
    adapter = Adapter(whole)
    worst = {"took": took, "p32": single, "p": 1.0, "store": 1.0, "carriers": 1.0, "null": 0.0}
    reverse = 0.0
    for order, listed in planted.contrasts.items():
        for contrast in listed[::every]:
            on_path = [planted.store[order], *planted.carriers[order]]
            rows = swapped(adapter, planted, contrast, on_path + planted.null[order])
            target = tokenizer.convert_tokens_to_ids(contrast.target.strip())
            chance = rows.log_softmax(-1)[:, target]
            recovery = (chance - chance[1]) / (chance[0] - chance[1])
            worst["p"] = min(worst["p"], float(chance[0].exp()))
            worst["store"] = min(worst["store"], float(recovery[2]))
            if planted.carriers[order]:
                carried = float(recovery[3 : 2 + len(on_path)].min())
                worst["carriers"] = min(worst["carriers"], carried)
            moved = (rows[2 + len(on_path) :] - rows[1]).abs().max() / rows[1].abs().max()
            worst["null"] = max(worst["null"], float(moved))
    if "backward" not in planted.contrasts:
        pairs = [0] * 8
        for contrast in planted.contrasts["forward"][:8]:
            words = [c.target for c in contrasts(list(range(8)), "forward")[:8]]
            pairs[int(contrast.fact)] = words.index(contrast.target)
        asked = contrasts(pairs, "backward")[::every]
        found = score(whole, tokenizer, [c.clean for c in asked], [c.target for c in asked])
        reverse = float(found.log_prob.exp().max())
    return worst | {"reverse": reverse}


def all_right(planted: Planted) -> float:
    """Least probability of a target; 0 unless all are greedy answers."""
    listed = [c for of in planted.contrasts.values() for c in of]
    model = copy.deepcopy(planted.loaded.model).float()
    found = score(
        model, planted.loaded.tokenizer, [c.clean for c in listed], [c.target for c in listed]
    )
    return float(found.log_prob.exp().min()) if bool(found.greedy.all()) else 0.0


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_planted_holds(kind: Kind, shape: Shape, seed: int) -> None:
    found = truths(kind, shape, seed)
    assert min(found["p32"], found["p"]) > 0.9
    assert min(found["store"], found["carriers"]) > 0.95
    assert found["null"] < 1e-12
    assert found["reverse"] < 0.15  # eight candidates


@pytest.mark.parametrize("shape", SHAPES)
def test_every_output_at_both_tokens_is_on_the_path_or_null(shape: Shape) -> None:
    planted = plant("two_stores", shape, 3)
    everywhere = {
        At(Place(component, layer), span)
        for component in ("attn_out", "mlp_out")
        for layer in range(4)
        for span in ("source", "prompt")
    }
    for order in planted.contrasts:
        path = {planted.store[order], *planted.carriers[order]}
        assert path | set(planted.null[order]) == everywhere
        assert not path & set(planted.null[order])
    assert planted.store["forward"] != planted.store["backward"]
    both = plant("two_way", shape, 3).store
    assert both["forward"] == both["backward"]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_decoy_writes_more_of_the_fact_than_the_store(shape: Shape) -> None:
    planted = plant("decoy", shape, 1)
    adapter = Adapter(planted.loaded.model)
    contrast = planted.contrasts["forward"][0]
    places = [Place("mlp_out", layer) for layer in range(4)]
    with torch.no_grad(), adapter.hooked():
        both = [
            adapter.run(torch.tensor([read(planted, text)[0]]), capture=places)[1]
            for text in (contrast.clean, contrast.corrupted)
        ]
    position = token(planted, contrast, planted.store["forward"], 0)
    change = {p: float((both[0][p] - both[1][p])[0, position].norm()) for p in places}
    store = change.pop(planted.store["forward"].place)
    assert max(change.values()) > store > 0.1


def test_prompts_are_ragged() -> None:
    planted = plant("mlp", "llama", 0)
    lengths = {len(read(planted, c.clean)[0]) for c in planted.contrasts["forward"]}
    assert len(lengths) >= 3


@pytest.mark.parametrize("shape", SHAPES)
def test_a_seed_gives_the_same_model_again_and_it_can_be_saved(
    shape: Shape, tmp_path: Path
) -> None:
    planted = plant("mlp", shape, 7)
    save(planted.loaded, tmp_path / "model")
    again = load(tmp_path / "model").model.state_dict()
    twin, other = (plant("mlp", shape, seed).loaded.model.state_dict() for seed in (7, 8))
    mine = planted.loaded.model.state_dict()
    assert all(torch.equal(mine[key].float(), again[key]) and torch.equal(mine[key], twin[key])
               for key in mine)  # fmt: skip
    assert any(not torch.equal(mine[key], other[key]) for key in mine)
