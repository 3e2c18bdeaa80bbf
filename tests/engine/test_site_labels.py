"""Tables and figures name the layer in which something was changed."""

import warnings

import pandas as pd
import pytest

from interp_rc.engine.effect_places import site_name, without_window
from interp_rc.engine.effects import Effects
from interp_rc.engine.interventions import Itself
from interp_rc.engine.named_sites import named_sites
from interp_rc.engine.sites import Site
from interp_rc.facts.tracings import Tracing
from interp_rc.models.adapters.parts import Place
from interp_rc.records.errors import ConfigError
from interp_rc.records.nouns import Contrast, Span
from interp_rc.tools.attribution.attribution import attribute
from interp_rc.tools.patching.knockout import knockout
from interp_rc.tools.patching.patching import noise_floors, patch
from interp_rc.tools.patching.path import path_patch
from interp_rc.tools.patching.tracing import default_window, trace, trace_sites
from tests.engine.loop import made
from tests.tools.patching.test_tracing_noise import other

CONTRASTS = [
    Contrast("one", "one", None, "w1 w2 w3", "w1 w4 w3", " w5", spans={"A": [Span(3, 5)] * 2}),
    Contrast("two", "two", None, "w6 w7 w3", "w6 w8 w3", " w9", spans={"A": [Span(3, 5)] * 2}),
]
TRACINGS = [Tracing("one", "one", "w1 w2 w3", "w2", " w5")]


@pytest.fixture(scope="module")
def gpt2():
    return made("gpt2")


@pytest.fixture(scope="module")
def by_name(gpt2):
    """Given with the wrong layer, as the class once wanted it, and by a text."""
    sites = [
        Site("transformer.h.2.mlp", 0, "A"),
        Site("transformer.wte", 0, "A"),
        *named_sites(gpt2, CONTRASTS, ["transformer.h.1.attn.c_proj@A.last", "mlp_out.2@A.last"]),
    ]
    return patch(gpt2, CONTRASTS, sites)


def test_a_module_carries_its_layer_or_null(by_name):
    layers = by_name.table.groupby("site").layer.unique().map(list).to_dict()
    assert layers.pop("transformer.wte")[0] is pd.NA
    assert layers == {
        "transformer.h.2.mlp": [2],
        "transformer.h.1.attn.c_proj": [1],
        "mlp_out": [2],
    }
    by_site = by_name.table.set_index(["site", "pair"]).value
    pd.testing.assert_series_equal(by_site["transformer.h.2.mlp"], by_site["mlp_out"])


def test_estimates_arrays_and_files_have_them(by_name, tmp_path):
    estimates = by_name.estimates().set_index("site")
    assert len(estimates) == 4
    assert estimates.layer["transformer.h.2.mlp"] == 2
    assert estimates.layer.isna().to_dict()["transformer.wte"]
    array = by_name.to_xarray()
    own = array.effect.sel(component="transformer.h.2.mlp")
    assert own.notnull().any(("pair", "place")).to_series().pipe(lambda s: s[s].index.tolist()) == [
        2
    ]
    assert array.effect.sel(component="transformer.wte").notnull().sum() == 2
    by_name.save(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(Effects.load(tmp_path / "t.parquet").table, by_name.table)


def test_figures_have_them(by_name):
    axes = {title: a for a in by_name.plot().axes if (title := a.get_title("left"))}
    shown = {
        title: [label.get_text() for label in a.get_xticklabels()] for title, a in axes.items()
    }
    assert shown == {
        "transformer.h.2.mlp": ["2"],
        "transformer.wte": ["none"],
        "transformer.h.1.attn.c_proj": ["1"],
        "mlp_out": ["2"],
    }


def test_noise_floors_of_modules_in_no_layer_are_kept(gpt2):
    sites = [Site("transformer.wte", None, "A"), Site("transformer.h.2.mlp", None, "A")]
    floors = noise_floors(gpt2, CONTRASTS, sites)
    assert floors.site.tolist() == ["transformer.h.2.mlp", "transformer.wte"]
    effects = patch(gpt2, CONTRASTS, sites, intervention=Itself(), floor=True)
    assert effects.estimates().below_floor.all()


def test_a_module_whose_name_ends_like_a_window(gpt2):
    assert without_window("model.blocks.3.maxx2") == ("model.blocks.3.maxx2", "")
    assert without_window("mlp_outx12") == ("mlp_out", "12")
    assert site_name("a.3.maxx2", float("nan"), "A.last", float("nan"), float("nan")) == (
        "a.3.maxx2@A.last"
    )
    assert Site("a.3.b", 3, "A").name == "a.3.b@A.last"
    assert Site("a.3.b", 3, "A").place == Place("a.3.b", 0)


def test_what_takes_no_modules_says_so(gpt2):
    site = Site("transformer.h.0.mlp", 0, "A")
    with pytest.raises(ConfigError, match=r"h\.0\.mlp@A\.last: attribution takes components"):
        attribute(gpt2, CONTRASTS, [site])
    with pytest.raises(ConfigError, match=r"h\.0\.mlp@A\.last: no path joins modules"):
        path_patch(gpt2, CONTRASTS, [site], [Site("mlp_out", 1, "A")])
    with pytest.raises(ConfigError, match="needs a layer"):
        Site("mlp_out", None, "A")


@pytest.mark.parametrize(("layers", "window"), [(1, 1), (3, 1), (12, 6), (20, 10), (48, 10)])
def test_default_windows_tell_layers_apart(layers, window):
    assert default_window(layers) == window
    ranges = [Site("mlp_out", n, "A", window=window).layers(layers) for n in range(layers)]
    assert len(set(ranges)) == layers


def test_traced_columns_are_not_identical_by_default(gpt2):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = trace(gpt2, TRACINGS, draws=2)
    assert set(found.table.get("window", pd.Series([1]))) == {1}
    mlp = found.table[found.table["site"] == "mlp_out"].pivot(index="layer", columns="position")
    assert not mlp.value.duplicated().any()


def test_a_window_that_is_the_same_everywhere_is_refused(gpt2):
    sites = trace_sites(gpt2, TRACINGS, window=10)
    with pytest.raises(
        ConfigError, match=r"window of 10 layers is the same .* has 3; take one of 1"
    ):
        trace(gpt2, TRACINGS, sites, draws=1)
    with pytest.raises(ConfigError, match="window of 5 layers is the same"):
        patch(gpt2, CONTRASTS, named_sites(gpt2, CONTRASTS, "mlp_outx5@A.last"))
    with pytest.raises(ConfigError, match="window of 7 layers is the same"):
        knockout(gpt2, CONTRASTS, "prompt.last", "A.all", window=7)


def test_a_window_that_is_the_same_somewhere_warns(gpt2):
    sites = named_sites(gpt2, CONTRASTS, "mlp_outx4@A.last")
    with pytest.warns(UserWarning, match=r"windows of mlp_out x 4 layers .* around layers 1, 2"):
        effects = patch(gpt2, CONTRASTS, sites).table.set_index("layer").effect
    assert effects[1].tolist() == effects[2].tolist()


def test_all_layers_at_once_by_one_site_may_be_meant(gpt2):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        patch(gpt2, CONTRASTS, [Site("mlp_out", 1, "A", window=5)])


@pytest.mark.parametrize("kind", ["opt", "phi3", "falcon", "olmo2"])
def test_by_default_what_exists_is_traced(kind):
    loaded, _ = other(kind)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = trace(loaded, TRACINGS, draws=1)
    assert "resid_post" in set(found.table["site"])
    alone = set(found.table["site"]) == {"resid_post"}
    assert alone == any("the stream alone is traced" in str(one.message) for one in said)


@pytest.mark.filterwarnings("ignore:no adapter knows")
def test_what_is_not_there_is_answered_with_what_is():
    loaded, _ = other("opt")
    message = (
        r"no attn_out\.0@A\.last; it has resid_pre, .*resid_post of layers 0 to 1, heads 0 to 1"
    )
    with pytest.raises(ConfigError, match=message):
        patch(loaded, CONTRASTS, [Site("attn_out", 0, "A")])
