"""Path patching is what a plain loop finds that really freezes everything in between."""

import dataclasses

import numpy as np
import pytest
import torch

from interp_rc.engine.effects import COLUMNS, Effects
from interp_rc.engine.sites import Site, tokens_of
from interp_rc.models.adapters.adapter import FAMILIES
from interp_rc.records.errors import ConfigError, DataError, ModelError
from interp_rc.tools.patching.patching import patch
from interp_rc.tools.patching.path import path_patch
from tests.engine.hooked import Loop
from tests.engine.tiny import masked, precise

SENDERS = [
    Site("z", 0, "source", "all", head=1),
    Site("z", 0, "prompt", "last"),
    Site("attn_out", 0, "source", "last"),
    Site("resid_pre", 0, "source", "all"),
    Site("mlp_post", 0, "source", "all", neuron=5),
    Site("mlp_out", 0, "prompt", "last"),
    Site("resid_post", 0, "source", "first"),
]
RECEIVERS = [
    Site("z", 1, "prompt", "last", head=0),
    Site("z", 1, "prompt", "all"),
    Site("attn_out", 1, "prompt", "last"),
    Site("resid_pre", 1, "source", "all"),
    Site("resid_pre", 1, "prompt", "last"),
    Site("mlp_post", 1, "prompt", "all", neuron=3),
    Site("mlp_out", 1, "prompt", "last"),
    Site("resid_post", 1, "prompt", "last"),
]
WITHIN = [
    (Site("resid_pre", 0, "source", "all"), Site("z", 0, "prompt", "all", head=1)),
    (Site("resid_pre", 0, "source", "all"), Site("mlp_out", 0, "source", "all")),
    (Site("resid_pre", 0, "source", "last"), Site("resid_post", 0, "source", "last")),
    (Site("mlp_out", 0, "source", "all"), Site("resid_post", 0, "source", "last")),
    (Site("attn_out", 0, "source", "all"), Site("resid_post", 0, "prompt", "all")),
]
SEQUENTIAL = [  # there is nothing of the kind where attention and MLP are parallel
    (Site("z", 0, "source", "all", head=0), Site("mlp_post", 0, "source", "all")),
    (Site("attn_out", 0, "source", "all"), Site("resid_mid", 0, "source", "all")),
    (Site("resid_mid", 0, "source", "all"), Site("mlp_out", 0, "source", "all")),
    (Site("resid_mid", 0, "source", "all"), Site("attn_out", 1, "prompt", "last")),
]


class Frozen(Loop):
    """Hooks at every component; one prompt and one path at a time."""

    def __init__(self, loaded):
        super().__init__(loaded)
        self.blocks = FAMILIES[loaded.model.config.model_type](loaded.model).blocks

    def at(self, component, layer, change):
        """A hook that gives a component's value to `change`, and puts in what that returns."""
        block = self.blocks[layer]
        if component in ("attn_out", "mlp_out"):
            module = block.adds_attention if component == "attn_out" else block.adds_mlp
            return lambda: module.register_forward_hook(lambda m, a, out: change(out))
        if component in ("z", "mlp_post", "resid_mid"):
            named = {"z": block.project, "mlp_post": block.down, "resid_mid": block.mlp_norm}
            return lambda: named[component].register_forward_pre_hook(
                lambda m, args: (change(args[0]), *args[1:])
            )
        if component == "resid_pre":
            return lambda: block.whole.register_forward_pre_hook(self._in(change), with_kwargs=True)
        return lambda: block.whole.register_forward_hook(
            lambda m, a, out: (change(out[0]), *out[1:]) if isinstance(out, tuple) else change(out)
        )

    def _in(self, change):
        def put(m, args, kwargs):
            if args:
                return (change(args[0]), *args[1:]), kwargs
            return args, kwargs | {"hidden_states": change(kwargs["hidden_states"])}

        return put

    def all_of(self, prompt, target):
        """Every component's value."""
        found, hooks = {}, []
        for layer, block in enumerate(self.blocks):
            for component in ("resid_pre", "z", "attn_out", "mlp_post", "mlp_out", "resid_post"):
                hooks.append(self.at(component, layer, self._keep(found, (component, layer))))
            if not block.parallel:
                hooks.append(self.at("resid_mid", layer, self._keep(found, ("resid_mid", layer))))
        self.log_prob(prompt, target, hooks)
        return found

    @staticmethod
    def _keep(found, key):
        def keep(value):
            found[key] = value.clone()
            return value

        return keep

    def part(self, site, width):
        if site.head is not None:
            each = width // self.model.config.num_attention_heads
            return slice(site.head * each, (site.head + 1) * each)
        return slice(None) if site.neuron is None else slice(site.neuron, site.neuron + 1)

    def putting(self, site, positions, values, own):
        """Hooks that put values at a site; `own` are the unpatched run's."""

        def put(value):
            value, part = value.clone(), self.part(site, value.shape[-1])
            value[:, positions, part] = values[..., part]
            return value

        def put_mid(value):  # so that the stream behind it has them too
            value = value.clone()
            value[:, positions] += values - own["resid_mid", site.layer][:, positions]
            return value

        if site.component == "resid_mid":
            return [self.at("attn_out", site.layer, put_mid)]
        return [self.at(site.component, site.layer, put)]

    def path(self, contrast, sender, receiver, into="corrupted"):
        giver = contrast.clean if into == "corrupted" else contrast.corrupted
        taker = getattr(contrast, into)
        given, own = (self.all_of(prompt, contrast.target) for prompt in (giver, taker))
        (_, _, clean), (_, _, corrupted) = (
            self.ids(prompt, contrast.target) for prompt in (contrast.clean, contrast.corrupted)
        )
        both = zip(*tokens_of(contrast, sender, clean, corrupted), strict=True)
        reads, writes = map(list, both)
        if into == "clean":
            reads, writes = writes, reads
        new = given[sender.component, sender.layer][:, reads]
        kept, hooks = {}, []
        hooks.append(
            self.at(
                receiver.component,
                receiver.layer,
                self._keep(kept, (receiver.component, receiver.layer)),
            )
        )
        exempt = {"z": "attn_out", "resid_mid": "attn_out", "mlp_post": "mlp_out"}
        exempt = (exempt.get(sender.component, sender.component), sender.layer)
        hooks += [
            self.at(component, layer, lambda _, key=(component, layer): own[key].clone())
            for layer in range(len(self.blocks))
            for component in ("attn_out", "mlp_out")
            if (component, layer) != exempt
        ]
        hooks += self.putting(sender, writes, new, own)
        self.log_prob(taker, contrast.target, hooks)
        span = contrast.spans.get(receiver.span)
        span = (
            span[into == "corrupted"]
            if span
            else type("Whole", (), {"start": 0, "end": len(taker)})
        )
        tokens = self.positions(taker, contrast.target, span, receiver.token)
        become = kept[receiver.component, receiver.layer][:, tokens]
        return self.log_prob(taker, contrast.target, self.putting(receiver, tokens, become, own))


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["llama", "gpt2", "gpt_neox", "gemma2"])
def test_equal_to_a_loop_that_freezes_all_else(taught, contrasts, shape):
    model = precise(taught, shape)
    loop, some = Frozen(model), contrasts[4::16]
    assert len(some) == 2
    effects = path_patch(model, some, SENDERS, RECEIVERS)
    expected = [
        loop.path(contrast, sender, receiver)
        for contrast in some
        for sender in SENDERS
        for receiver in RECEIVERS
    ]
    np.testing.assert_allclose(effects.table.value, expected, atol=1e-9)
    changed = effects.table.groupby("sender").effect.apply(lambda effect: effect.abs().max())
    # At the prompts' last token, which is the same, early components may not have seen the source.
    assert (changed.filter(like="@source") > 1e-4).all()
    changed = effects.table.groupby("site").effect.apply(lambda effect: effect.abs().max())
    assert (changed > 1e-3).all()
    assert effects.table.structural_zero.any()
    assert (effects.table[effects.table.structural_zero].effect == 0).all()


@pytest.mark.parametrize("shape", ["llama", "gpt2", "gpt_neox", "gemma2"])
@pytest.mark.parametrize("into", ["corrupted", "clean"])
def test_within_a_layer_and_the_other_way_round(taught, contrasts, shape, into):
    model = precise(taught, shape)
    loop, contrast = Frozen(model), contrasts[7]
    tolerance = 1e-8 if shape == "gemma2" else 0  # its own softmax is in float32
    for sender, receiver in WITHIN + (SEQUENTIAL if shape != "gpt_neox" else []):
        found = path_patch(model, [contrast], [sender], [receiver], into=into).table.value[0]
        expected = loop.path(contrast, sender, receiver, into)
        assert found == pytest.approx(expected, abs=1e-9, rel=tolerance)


def test_the_stream_as_the_receiver_is_ordinary_patching(taught, contrasts):
    """What a layer's output adds, at the next one's input, is all that it does."""
    model = precise(taught, "llama")
    senders = [Site("resid_post", 0, "source", "last"), Site("mlp_out", 0, "source", "last")]
    receiver = Site("resid_pre", 1, "source", "last")
    found = path_patch(model, contrasts, senders, [receiver]).table
    np.testing.assert_allclose(found.value, patch(model, contrasts, senders).table.value, atol=1e-9)


def test_the_table_and_batches(taught, contrasts):
    model = precise(taught, "llama")
    effects = path_patch(model, contrasts[:9], SENDERS[:3], RECEIVERS[:3])
    table = effects.table
    assert list(table.columns) == [*COLUMNS, "sender"]
    assert table.sender[:9].tolist() == [s.name for s in SENDERS[:3] for _ in range(3)]
    assert table.site[:3].tolist() == ["z", "z", "attn_out"]
    assert table.position.notna().tolist() == [True, False, True] * 27
    for memory in (1, 300_000):
        parts = path_patch(model, contrasts[:9], SENDERS[:3], RECEIVERS[:3], memory=memory).table
        np.testing.assert_allclose(parts.value, table.value, atol=1e-11)
        assert parts.drop(columns=["value", "effect", "recovered"]).equals(
            table.drop(columns=["value", "effect", "recovered"])
        )
    assert len(Effects(table, effects.baselines).estimates()) == 9 * table.order.nunique()


def test_differences_of_long_targets(taught, contrasts):
    model = precise(taught, "gpt2")
    some, paths = contrasts[::9], (SENDERS[:2], RECEIVERS[:2])
    table = path_patch(model, some, *paths, metric="logit_difference").table
    own = path_patch(model, some, *paths).table
    swapped = [dataclasses.replace(c, target=c.foil) for c in some]
    other = path_patch(model, swapped, *paths).table
    np.testing.assert_allclose(table.value, own.value - other.value)
    assert table.sender.equals(own.sender)


def test_single_precision_is_near(taught, contrasts):
    found = path_patch(taught["llama"], contrasts[:4], SENDERS, RECEIVERS).table.value
    exact = path_patch(precise(taught, "llama"), contrasts[:4], SENDERS, RECEIVERS).table.value
    assert torch.finfo(torch.float32).eps < (found - exact).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("sender", "receiver", "error", "message"),
    [
        ("mlp_out", "mlp_post", ConfigError, "nothing goes from mlp_out.0@source.last"),
        ("mlp_post", "mlp_out", ConfigError, "along the stream to mlp_out.0@source.last"),
        ("z", "attn_out", ConfigError, "nothing goes"),
        ("resid_pre", "resid_pre", ConfigError, "nothing goes"),
        ("resid_mid", "z", ConfigError, "nothing goes"),
        ("pattern", "mlp_out", ConfigError, "name no pattern"),
    ],
)
def test_refused(taught, contrasts, sender, receiver, error, message):
    with pytest.raises(error, match=message):
        path_patch(
            taught["llama"],
            contrasts[:2],
            [Site(sender, 0, "source")],
            [Site(receiver, 0, "source")],
        )


def test_refused_by_the_kind_of_model(taught, contrasts):
    attention, mlp = Site("attn_out", 0, "source"), Site("mlp_out", 0, "source")
    with pytest.raises(ConfigError, match="reads it before, or elsewhere"):
        path_patch(taught["gpt_neox"], contrasts[:2], [attention], [mlp])
    with pytest.raises(ModelError, match="norms its stream after each sum"):
        path_patch(precise(taught, "bert"), masked(contrasts[:2]), [attention], [mlp])
    with pytest.raises(ConfigError, match="nothing to patch"):
        path_patch(taught["llama"], contrasts[:2], [], [mlp])
    with pytest.raises(DataError, match="no span 'verb'"):
        path_patch(taught["llama"], contrasts[:2], [attention], [Site("mlp_out", 1, "verb")])
    wide = dataclasses.replace(attention, window=2)
    with pytest.raises(ConfigError, match="window"):
        path_patch(taught["llama"], contrasts[:2], [wide], [mlp])


def test_each_sender_has_maps_of_its_own(taught, contrasts, tmp_path):
    effects = path_patch(taught["llama"], contrasts, SENDERS[:2], RECEIVERS[3:5])
    array = effects.to_xarray()
    assert [str(name) for name in array.component.values] == [
        "resid_pre from z.0.h1@source.all",
        "resid_pre from z.0@prompt.last",
    ]
    pair = contrasts[0].id
    own = effects.table[(effects.table.pair == pair) & (effects.table.sender == SENDERS[1].name)]
    there = array.effect.sel(pair=pair, component="resid_pre from z.0@prompt.last", layer=1)
    np.testing.assert_array_equal(there.sel(place=["source.all", "prompt.last"]), own.effect)
    effects.save(tmp_path / "path.parquet")
    assert Effects.load(tmp_path / "path.parquet").table.sender.equals(effects.table.sender)
    titles = [axes.get_title(loc) for axes in effects.plot().axes for loc in ("left", "center")]
    assert any("from z.0.h1" in title for title in titles), titles
