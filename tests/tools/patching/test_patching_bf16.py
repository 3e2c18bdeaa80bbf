"""In bfloat16 effects come with what rounding alone can do, and those within it are marked."""

import copy

import numpy as np
import pytest
import torch
from matplotlib.collections import PatchCollection

from interp_rc.display.figures.site_map import HATCH
from interp_rc.engine.interventions import FromModel, Itself, Mean, Zero
from interp_rc.engine.sites import Site
from interp_rc.models.load import Loaded
from interp_rc.tools.patching.patching import patch
from tests.engine.hooked import sites_of

COMPONENTS = ("resid_pre", "attn_out", "mlp_out", "resid_post")


@pytest.fixture
def some(contrasts):
    return contrasts[::3]


@pytest.fixture
def rounded(tiny):
    return Loaded(copy.deepcopy(tiny.model).to(torch.bfloat16), tiny.tokenizer)


@pytest.mark.slow
def test_floors_come_by_themselves_and_grow_with_the_rounding(tiny, rounded, some):
    sites = sites_of(COMPONENTS)
    half = patch(rounded, some, sites)
    assert patch(tiny, some, sites).floor is None  # whole precision: only if asked for
    whole = patch(tiny, some, sites, floor=True)
    both = half.floor.merge(whole.floor, on=["site", "layer"], suffixes=("", "_float32"))
    assert len(both) == len({(s.component, s.layer) for s in sites})
    assert (both.floor > 1e3 * both.floor_float32).all()
    again = patch(rounded, some, sites, intervention=Itself()).table
    moved = again.effect.abs().groupby([again.site, again.layer]).max()
    floors = half.floor.set_index(["site", "layer"]).floor
    rounding = torch.finfo(torch.bfloat16).eps * half.baselines.corrupted.abs().median()
    np.testing.assert_allclose(floors, moved.clip(lower=rounding))
    # By its own measure, what bfloat16 did to the values themselves is of that size.
    error = np.abs(half.baselines.corrupted - whole.baselines.corrupted).max()
    assert 0 < error < 100 * half.floor.floor.min()


@pytest.mark.slow
def test_effects_within_rounding_are_marked_and_hatched(rounded, some):
    """A model that differs by a rounding here and there: its activations do next to nothing."""
    near = Loaded(copy.deepcopy(rounded.model), rounded.tokenizer)
    with torch.no_grad():
        for weight in near.model.parameters():
            if weight.ndim == 1:
                weight *= 1 + torch.finfo(torch.bfloat16).eps
    sites = [s for s in sites_of(COMPONENTS) if s.token == "last"]
    nothing = patch(rounded, some, sites, intervention=FromModel(near))
    small = nothing.estimates()
    large = patch(rounded, some, sites, intervention=Zero())
    estimates = large.estimates()
    limits = large.floor.set_index(["site", "layer"]).floor
    for table in (small, estimates):
        floors = limits.loc[list(zip(table.site, table.layer, strict=True))].to_numpy()
        expected = table["mean"].abs().to_numpy() <= floors
        assert (table.below_floor.to_numpy() == expected).all()
    assert small.below_floor.sum() > estimates.below_floor.sum()
    assert not estimates.below_floor.all()
    figure = nothing.plot()
    hatched = [c for axes in figure.axes for c in axes.collections
               if isinstance(c, PatchCollection) and c.get_hatch() == HATCH]  # fmt: skip
    assert (
        sum(len(c.get_paths()) for c in hatched)
        >= (small.below_floor & ~small.structural_zero).sum()
    )
    assert "or from rounding" in figure.legends[0].get_texts()[0].get_text()


def test_means_are_put_in_the_models_own_precision(rounded, some):
    sites = [Site(c, 0, "source", "last") for c in ("z", "mlp_post", "mlp_out", "resid_post")]
    found = patch(rounded, some, sites, intervention=Mean(), floor=False)
    assert np.isfinite(found.table.value).all()
    assert (found.table.groupby("site").effect.apply(lambda x: x.abs().max()) > 0).all()
