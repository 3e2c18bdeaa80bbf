"""What is made of effects: arrays, estimates, figures and files, each against a plain loop."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy import stats

from interp_rc.display.figures.style import DARK, LIGHT
from interp_rc.engine.effect_estimates import linearised_share
from interp_rc.engine.effect_places import site_name
from interp_rc.engine.effects import COLUMNS, Effects
from interp_rc.engine.named_sites import named_sites
from interp_rc.records.errors import DataError
from interp_rc.records.nouns import Contrast
from interp_rc.tools.patching.patching import patch
from tests.engine.hooked import sites_of

ORDERS = ("forward", None)


def made_up(facts=25, prompts=2, seed=0, total=10.0, places=(0, 1, ("A", "last")), heads=(None,)):
    """Two components of three layers; layer 1 at place 1 has an effect, place 0 can have none."""
    draw = np.random.default_rng(seed)
    rows, baselines = [], []
    for order, fact, prompt in itertools.product(ORDERS, range(facts), range(prompts)):
        pair, known = f"{order}/{fact}/{prompt}", {"fact": f"f{fact}", "order": order}
        clean, corrupted = draw.normal(-2, 0.5), draw.normal(-2 - total, 0.5)
        texts = ["<s>", "The", f"name{fact}"]
        ends = {"clean": clean, "corrupted": corrupted, "tokens": texts}
        baselines.append({"pair": pair} | known | ends)
        for site, layer, place, head in itertools.product(
            ("attn_out", "mlp_out"), range(3), places, heads
        ):
            span, token = place if isinstance(place, tuple) else (None, None)
            zero = place == 0
            effect = 0.0 if zero else draw.normal(4.0 * ((layer, place) == (1, 1)) + 0.1 * fact)
            rows.append(
                {"pair": pair, "site": site, "layer": layer, "head": head, "span": span,
                 "token": token, "position": None if span else place, "metric": "log_prob",
                 "value": corrupted + effect, "effect": effect,
                 "recovered": effect / (clean - corrupted), "structural_zero": zero} | known
            )  # fmt: skip
    table = pd.DataFrame(rows).reindex(columns=COLUMNS).astype({"position": "Int64"})
    return Effects(table, pd.DataFrame(baselines))


def one(estimates, site="mlp_out", layer=1, place="1", order="forward"):
    rows = estimates[(estimates.site == site) & (estimates.layer == layer)]
    rows = rows[(rows.place == place) & (rows.order.fillna("") == (order or ""))]
    assert len(rows) == 1
    return rows.iloc[0]


def per_fact(effects, order="forward", site="mlp_out", layer=1, position=1):
    """By a plain loop: each fact's mean effect and mean total."""
    ends = {row.pair: row.clean - row.corrupted for row in effects.baselines.itertuples()}
    found = {}
    for row in effects.table.itertuples():
        same = pd.isna(row.order) if order is None else row.order == order
        here = same and (row.site, row.layer) == (site, layer)
        if here and pd.notna(row.position) and row.position == position:
            found.setdefault(row.fact, []).append((row.effect, ends[row.pair]))
    return np.array([np.mean(values, axis=0) for values in found.values()]).T


@pytest.mark.parametrize("order", ORDERS)
def test_a_site_is_the_mean_over_facts(order):
    effects = made_up()
    row = one(effects.estimates(), order=order)
    mean, _ = per_fact(effects, order)
    assert row.n == len(mean) == 25
    assert row["mean"] == pytest.approx(mean.mean())
    known = stats.bootstrap((mean,), np.mean, n_resamples=9999, rng=1).confidence_interval
    spread = known.high - known.low
    assert row.low == pytest.approx(known.low, abs=0.1 * spread)
    assert row.high == pytest.approx(known.high, abs=0.1 * spread)


def test_prompts_of_a_fact_count_once():
    """Each prompt four times: neither intervals nor tests become any surer."""
    effects = made_up()
    again = [
        [table.assign(pair=table.pair + f"/{k}") for k in range(4)]
        for table in (effects.table, effects.baselines)
    ]
    repeated = Effects(*(pd.concat(parts, ignore_index=True) for parts in again))
    pd.testing.assert_frame_equal(repeated.estimates(), effects.estimates())


def test_the_share_is_a_ratio_of_means():
    effects = made_up(total=3.0)
    row = one(effects.estimates())
    mean, total = per_fact(effects)
    assert row.recovered == pytest.approx(mean.mean() / total.mean())

    def ratio(a, b, axis):
        return a.mean(axis) / b.mean(axis)

    known = stats.bootstrap(
        (mean, total), ratio, paired=True, n_resamples=9999, rng=1
    ).confidence_interval
    spread = known.high - known.low
    assert row.recovered_low == pytest.approx(known.low, abs=0.15 * spread)
    assert row.recovered_high == pytest.approx(known.high, abs=0.15 * spread)
    wide = (row.high - row.low) / total.mean()  # as if the total were known
    assert row.recovered_high - row.recovered_low != pytest.approx(wide, rel=1e-3)


def test_the_linearised_share_varies_as_the_ratio_does():
    """Its standard error against that of many samples of the same kind."""
    draw = np.random.default_rng(5)

    def sample():
        total = draw.normal(5, 1, 40)
        return 0.5 * total + draw.normal(0, 0.5, 40), total

    ratios = [e.mean() / t.mean() for e, t in (sample() for _ in range(2000))]
    errors = [stats.sem(linearised_share(*sample())) for _ in range(200)]
    assert np.mean(errors) == pytest.approx(np.std(ratios), rel=0.1)


def balanced():
    """Half of the facts are likelier after the clean prompt, half after the corrupted one."""
    effects = made_up(facts=24)
    side = 1 - 2.0 * (effects.baselines.fact.str[1:].astype(int) % 2)
    baselines = effects.baselines.assign(clean=effects.baselines.corrupted + side)
    return Effects(effects.table, baselines)


def test_nothing_is_divided_by_a_total_that_may_be_zero():
    estimates = balanced().estimates()
    assert estimates[["recovered", "recovered_low", "recovered_high"]].isna().all(axis=None)
    assert estimates["mean"].notna().all()
    negative = made_up(total=-5.0).estimates()
    assert negative.recovered.notna().all()


def test_tests_are_adjusted_over_what_could_differ_order_by_order():
    effects = made_up()
    estimates = effects.estimates()
    zero = estimates.structural_zero
    assert set(estimates[zero].place) == {"0"}
    assert not (estimates[~zero].place == "0").any()
    assert estimates[zero][["p", "p_adjusted"]].isna().all(axis=None)
    for order in ORDERS:
        part = estimates[~zero & (estimates.order.fillna("") == (order or ""))]
        assert len(part) == 12
        raw = part.p.to_numpy()
        np.testing.assert_allclose(part.p_adjusted, stats.false_discovery_control(raw))
    mean, _ = per_fact(effects)
    assert one(estimates).p == pytest.approx(stats.ttest_1samp(mean, 0.0).pvalue)


def test_effects_within_rounding_are_below_the_floor():
    effects = made_up()
    large = np.abs(effects.estimates()["mean"]).max() + 1
    floor = pd.DataFrame({"site": ["mlp_out"] * 3, "layer": range(3), "floor": [0.0, large, 0.01]})
    estimates = Effects(effects.table, effects.baselines, floor).estimates()
    below = estimates[estimates.below_floor & ~estimates.structural_zero]
    assert set(zip(below.site, below.layer, strict=True)) == {("mlp_out", 1)}
    assert len(below) == 4
    assert (below.p == 1).all()
    mean, _ = per_fact(effects, layer=2)
    expected = stats.ttest_1samp(mean, 0.01).pvalue
    assert one(estimates, layer=2).p == pytest.approx(expected)
    assert not effects.estimates().below_floor.any()


def test_one_fact_has_a_mean_and_nothing_else():
    estimates = made_up(facts=1, prompts=3).estimates()
    assert (estimates.n == 1).all()
    assert estimates["mean"].notna().all()
    assert estimates[["low", "high", "p", "p_adjusted", "recovered"]].isna().all(axis=None)


def test_windows_are_sites_of_their_own():
    effects = made_up(facts=3)
    wide = effects.table.assign(window=5)
    both = Effects(
        pd.concat([effects.table.assign(window=1), wide]).reset_index(drop=True), effects.baselines
    )
    estimates = both.estimates()
    assert set(estimates.site) == {"attn_out", "mlp_out", "attn_outx5", "mlp_outx5"}
    assert set(estimates.n) == {3}
    assert "mlp_outx5" in both.to_xarray().component


def test_an_array_holds_every_row_under_its_labels():
    effects = made_up(facts=3, heads=(None, 0, 2))
    missing = effects.table.index[5]
    effects = Effects(effects.table.drop(missing), effects.baselines)
    array = effects.to_xarray()
    assert array.effect.dims == ("pair", "component", "layer", "place", "head")
    for row in effects.table.itertuples():
        place = str(row.position) if pd.isna(row.span) else f"{row.span}.{row.token}"
        head = -1 if pd.isna(row.head) else int(row.head)
        cell = array.sel(pair=row.pair, component=row.site, layer=row.layer, place=place, head=head)
        for name in ("effect", "value", "recovered", "structural_zero"):
            assert cell[name].item() == getattr(row, name)
    assert array.effect.isnull().sum() == 1
    assert array.structural_zero.dtype == bool
    ends = effects.baselines.set_index("pair")
    assert array.corrupted.sel(pair="forward/2/1") == ends.corrupted["forward/2/1"]
    assert array.fact.sel(pair="forward/2/1") == "f2"
    means = array.effect.sel(component="mlp_out", layer=1, place="1", head=0).groupby("fact").mean()
    assert len(means) == 3


def test_positions_alone_are_numbers_in_order():
    places = (11, 2, 0)
    array = made_up(facts=1, places=places).to_xarray()
    assert array.place.values.tolist() == [0, 2, 11]
    assert "head" not in array.dims


def test_a_site_that_comes_twice_is_refused():
    effects = made_up(facts=1)
    twice = Effects(pd.concat([effects.table, effects.table.tail(1)]), effects.baselines)
    with pytest.raises(DataError, match=r"has mlp_out\.2@A\.last twice"):
        twice.to_xarray()


@pytest.mark.parametrize("floor", [None, pd.DataFrame({"site": ["z"], "layer": [1], "floor": [2]})])
def test_what_is_saved_is_loaded(tmp_path, floor):
    effects = made_up(facts=2)
    effects = Effects(effects.table, effects.baselines, floor)
    effects.save(str(tmp_path / "new" / "e.parquet"))
    loaded = Effects.load(str(tmp_path / "new" / "e.parquet"))
    pd.testing.assert_frame_equal(loaded.table, effects.table, check_dtype=False)
    pd.testing.assert_frame_equal(loaded.baselines, effects.baselines, check_dtype=False)
    assert (loaded.floor is None) == (floor is None)
    if floor is not None:
        pd.testing.assert_frame_equal(loaded.floor, floor)
    assert loaded.table.attrs == {}
    pd.testing.assert_frame_equal(loaded.estimates(), effects.estimates(), check_dtype=False)
    plain = pd.read_parquet(tmp_path / "new" / "e.parquet")
    assert list(plain.columns) == COLUMNS
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["e.parquet"]


def test_what_was_not_saved_is_refused(tmp_path):
    made_up(facts=1).table.to_parquet(tmp_path / "plain.parquet")
    (tmp_path / "text.parquet").write_text("not a table")
    for name, message in (
        ("none", "file not found"),
        ("plain", "holds no baselines"),
        ("text", "is no parquet"),
    ):
        with pytest.raises(DataError, match=rf"{name}\.parquet: {message}"):
            Effects.load(tmp_path / f"{name}.parquet")


def test_a_copy_is_a_copy():
    effects = made_up(facts=1)
    copy = effects.to_dataframe()
    copy.loc[:, "effect"] = 0.0
    assert (effects.table.effect != 0).any()


def labels(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_the_map_has_a_panel_for_each_order_and_component(theme):
    effects = made_up(places=(0, 1, 2))
    figure = effects.plot(theme=theme)
    assert isinstance(figure, Figure)
    FigureCanvasAgg(figure).draw()
    panels = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in panels] == [
        "attn_out, forward", "mlp_out, forward", "attn_out, no order", "mlp_out, no order",
    ]  # fmt: skip
    assert labels(panels[0]) == ["<s> 0", "The 1", "2"]  # the names differ
    estimates = effects.estimates()
    shown = panels[1].collections[0].get_array()
    for layer, position in itertools.product(range(3), range(3)):
        row = one(estimates, layer=layer, place=position)
        assert bool(shown.mask[position, layer]) == row.structural_zero
        if not row.structural_zero:
            assert shown[position, layer] == pytest.approx(row.recovered)
    grey = panels[1].collections[1].get_array()
    assert not grey.mask[0].any()
    assert grey.mask[1:].all()


def test_what_is_not_told_from_zero_is_hatched():
    """Effects of no fact, but one: only that cell is free of hatching."""
    effects = made_up(places=(1, 2))
    table = effects.table.copy()
    table["effect"] -= 0.1 * table.fact.str[1:].astype(int)
    figure = Effects(table, effects.baselines).plot()
    hatched = figure.axes[1].collections[2]
    cells = {(path.vertices[:, 0].min(), path.vertices[:, 1].min()) for path in hatched.get_paths()}
    estimates = Effects(table, effects.baselines).estimates()
    expected = {
        (row.layer, row.place - 1)
        for row in estimates.itertuples()
        if row.site == "mlp_out" and row.order == "forward" and row.p_adjusted > 0.05
    }
    assert cells == expected
    assert (1, 0) not in cells
    assert len(cells) >= 4


def test_heads_have_a_panel_for_each_place():
    figure = made_up(facts=2, heads=(0, 1), places=(("A", "last"), 4)).plot()
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert len(titles) == 8
    assert titles[:2] == ["attn_out, A, last, forward", "attn_out, 4, forward"]
    assert labels(figure.axes[0]) == ["head 0", "head 1"]


def test_colours_are_in_nats_where_no_share_is_known():
    figure = balanced().plot()
    assert [a.get_xlabel() for a in figure.axes][-1] == "effect [nat]"
    assert [a.get_xlabel() for a in made_up().plot().axes][-1] == "share of the total recovered"


def test_of_a_real_sweep(taught, contrasts, tmp_path):
    effects = patch(taught["llama"], contrasts, sites_of(["mlp_out", "resid_post"]))
    effects.save(tmp_path / "e.parquet")
    loaded = Effects.load(tmp_path / "e.parquet")
    pd.testing.assert_frame_equal(loaded.estimates(), effects.estimates(), check_dtype=False)
    array = loaded.to_xarray()
    assert array.sizes["pair"] == len(contrasts)
    assert array.effect.notnull().all()
    FigureCanvasAgg(effects.plot()).draw()


def test_one_contrast_without_an_order(taught, tmp_path):
    """What people try first: a line of three texts, at every position they share."""
    contrast = Contrast("line 1", "line 1", None, "Ann is so", "Bob is so", " kind")
    sites = named_sites(taught["llama"], [contrast], ["mlp_out"])
    effects = patch(taught["llama"], [contrast], sites)
    effects.save(tmp_path / "e.parquet")
    loaded = Effects.load(tmp_path / "e.parquet")
    assert loaded.table.order.isna().all()
    estimates = loaded.estimates()
    assert len(estimates) == len(sites)
    assert estimates.place.tolist() == [site.position for site in sites]
    assert (estimates["mean"].abs() > 0).any()
    figure = loaded.plot()
    FigureCanvasAgg(figure).draw()
    assert figure.axes[0].get_title(loc="left") == "mlp_out"
    assert loaded.to_xarray().sizes["pair"] == 1


def test_heads_neurons_and_windows_of_a_real_sweep(taught, contrasts, tmp_path):
    """Every site keeps its own row, name and cell."""
    model, texts = taught["gpt2"], ["z.h*@A.last", "mlp_post.0.n3@A", "mlp_out.*x2@prompt.last"]
    texts += ["mlp_out.*@prompt.last", "z.1@A.last"]
    forward = [contrast for contrast in contrasts if contrast.order == "forward"]
    sites = named_sites(model, forward, texts)
    effects = patch(model, forward, sites)
    effects.save(tmp_path / "e.parquet")
    effects = Effects.load(tmp_path / "e.parquet")
    estimates = effects.estimates()
    keys = ["site", "layer", "place", "head", "neuron"]
    names = [site_name(*row) for row in estimates[keys].itertuples(index=False)]
    assert names == [site.name for site in sites]
    assert set(estimates.n) == {len({contrast.fact for contrast in forward})}
    array = effects.to_xarray()
    assert int(array.effect.notnull().sum()) == len(effects.table) == len(sites) * len(forward)
    figure = effects.plot()
    FigureCanvasAgg(figure).draw()
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert titles == ["z, A, last", "mlp_post, A, last", "mlp_out × 2 layers", "mlp_out", "z"]
