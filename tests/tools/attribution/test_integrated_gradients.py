"""Integrated gradients against Captum, finite differences, and what must be so in closed form."""

import numpy as np
import pytest
import torch

from interp_rc.engine.inputs import read_inputs
from interp_rc.models.adapters.parts import Place
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.tools.attribution.integrated_gradients import integrated_gradients, streams
from tests.engine.hooked import first
from tests.engine.tiny import masked, precise
from tests.tools.attribution.test_attribution import even

FAMILIES = ["llama", "gpt2", "gpt_neox", "qwen2", "gemma2", "bert"]
LAYERS = 2
NEAR = {"atol": 1e-6, "rtol": 1e-5}  # Captum's weights of the points are float32


def blocks(model):
    kind = model.config.model_type
    if kind == "bert":
        return model.bert.encoder.layer
    if kind == "gpt2":
        return model.transformer.h
    return model.gpt_neox.layers if kind == "gpt_neox" else model.model.layers


def modules(block):
    """Attention and MLP of a layer: those whose output joins the stream."""
    attention = getattr(block, "attn", None) or getattr(block, "attention", None)
    return {"attn_out": attention or block.self_attn, "mlp_out": block.mlp}


class Plain:
    """Whole forward passes of one contrast's clean text, the stream swapped by a plain hook."""

    def __init__(self, loaded, contrast, *, corrupted=False):
        prompt = contrast.corrupted if corrupted else contrast.clean
        [self.input] = read_inputs(loaded, [prompt], [contrast.target])
        self.model = loaded.model
        self.ids = torch.tensor([self.input.ids])

    def log_prob(self):
        logits = self.model(input_ids=self.ids.expand(self.copies, -1)).logits
        rows = torch.log_softmax(logits, -1)[:, self.input.reads]
        wanted = torch.tensor(self.input.targets).expand(self.copies, -1)
        return rows.gather(-1, wanted[..., None])[..., 0].sum(1)

    def handle(self, place, act):
        """`act` is shown the activation, and may return another."""
        block = blocks(self.model)[place.layer]
        if place.component == "resid_pre":

            def swap(module, args, kwargs):
                new = act(args[0] if args else kwargs["hidden_states"])
                if new is None:
                    return None
                rest = (new, *args[1:]), kwargs
                return rest if args else (args, kwargs | {"hidden_states": new})

            return block.register_forward_pre_hook(swap, with_kwargs=True)

        def swap_output(module, args, out):
            new = act(first(out))
            return out if new is None else (new, *out[1:]) if isinstance(out, tuple) else new

        module = block if place.component == "resid_post" else modules(block)[place.component]
        return module.register_forward_hook(swap_output)

    def nats_with(self, place, values):
        """Of each row of values at the place."""
        self.copies = len(values)
        handle = self.handle(place, lambda _: values)
        try:
            return self.log_prob()
        finally:
            handle.remove()

    def activation(self, place):
        kept, self.copies = [], 1
        handle = self.handle(place, kept.append)
        with torch.no_grad():
            self.log_prob()
        handle.remove()
        return kept[0]


def some(model, contrasts, n=2):
    given = masked(contrasts) if model.model.config.model_type == "bert" else contrasts
    return even(model, given)[:n]


def padded(found, like):
    """Captum attributes the last token, which nothing reads, too: to nothing."""
    return torch.nn.functional.pad(found, (0, like.shape[1] - len(found)))


@pytest.mark.parametrize(
    ("shape", "baseline"),
    [
        *((shape, "mean") for shape in FAMILIES),
        ("llama", "zero"),
        ("llama", "corrupted"),
        ("bert", "corrupted"),
    ],
)
def test_equal_to_captum(taught, contrasts, shape, baseline):
    captum = pytest.importorskip("captum.attr", reason="Captum is not installed")
    model = precise(taught, shape)
    cases = some(model, contrasts)
    attributed = integrated_gradients(model, cases, baseline=baseline, tolerance=1e-12, most=8)
    plains = [Plain(model, contrast) for contrast in cases]
    for one in attributed:
        plain = plains[cases.index(one.contrast)]
        actual = plain.activation(one.place)
        begin = torch.zeros_like(actual)
        if baseline == "corrupted":
            begin = Plain(model, one.contrast, corrupted=True).activation(one.place)
        if baseline == "mean":
            tokens = [p.activation(one.place)[0, : p.input.start] for p in plains]
            begin = torch.cat(tokens).mean(0).expand_as(actual)
        peer = captum.IntegratedGradients(lambda v, p=plain, at=one.place: p.nats_with(at, v))
        expected, delta = peer.attribute(
            actual, begin, n_steps=8, method="gausslegendre", return_convergence_delta=True
        )
        torch.testing.assert_close(padded(one.integrated, actual), expected.sum(-1)[0], **NEAR)
        assert one.completeness == pytest.approx(delta.item(), abs=1e-4)
        assert one.steps == 8
        gradients = captum.InputXGradient(lambda v, p=plain, at=one.place: p.nats_with(at, v))
        torch.testing.assert_close(
            padded(one.times_gradient, actual),
            gradients.attribute(actual).sum(-1)[0].detach(),
            **NEAR,
        )


@pytest.mark.parametrize("shape", ["llama", "gpt2"])
def test_equal_to_captums_layers(taught, contrasts, shape):
    """By its own hooks on the layer's input, from ids to ids."""
    captum = pytest.importorskip("captum.attr", reason="Captum is not installed")
    model = precise(taught, shape)
    [contrast] = some(model, contrasts, 1)
    plain, other = Plain(model, contrast), Plain(model, contrast, corrupted=True)

    def nats(ids):
        plain.copies, rows = len(ids), torch.log_softmax(model.model(input_ids=ids).logits, -1)
        wanted = torch.tensor(plain.input.targets).expand(len(ids), -1)[..., None]
        return rows[:, plain.input.reads].gather(-1, wanted)[..., 0].sum(1)

    place = Place("resid_pre", 1)
    peer = captum.LayerIntegratedGradients(nats, blocks(model.model)[0])
    expected = peer.attribute(plain.ids, other.ids, n_steps=16, method="gausslegendre")
    [found] = integrated_gradients(
        model, [contrast], [place], baseline="corrupted", tolerance=1e-12, most=16
    )
    expected = expected[0] if isinstance(expected, tuple) else expected
    torch.testing.assert_close(
        padded(found.integrated, plain.ids), expected.sum(-1).flatten(), **NEAR
    )
    assert found.integrated.abs().max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["llama", "gpt2", "gpt_neox", "bert"])
def test_input_times_gradient_is_the_slope_of_stretching_a_token(taught, contrasts, shape):
    """By central differences, with whole forward passes; components of the stream, too."""
    model = precise(taught, shape)
    [contrast] = some(model, contrasts, 1)
    plain = Plain(model, contrast)
    places = [*streams(LAYERS), Place("attn_out", 0), Place("mlp_out", 0)]
    if shape == "bert":  # what joins the stream is not these modules' output
        places = places[:3]
    for one in integrated_gradients(model, [contrast], places, most=1):
        actual = plain.activation(one.place)
        tokens = len(one.times_gradient)
        steps = 1e-5 * torch.eye(actual.shape[1])[:tokens, :, None].to(actual)
        with torch.no_grad():
            up, down = (plain.nats_with(one.place, actual * (1 + s)) for s in (steps, -steps))
        torch.testing.assert_close(one.times_gradient, (up - down) / 2e-5, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("shape", ["llama", "gpt_neox", "bert"])
def test_steps_are_doubled_until_the_sum_is_whole(taught, contrasts, shape):
    model = precise(taught, shape)
    cases = some(model, contrasts)
    found = integrated_gradients(model, cases, tolerance=1e-3, most=1024)
    for one in found:
        assert one.complete
        assert abs(one.completeness) <= 1e-3 * max(1.0, abs(one.whole))
        plain = Plain(model, one.contrast)
        plain.copies = 1
        with torch.no_grad():
            actual = plain.log_prob().item()
        assert abs(one.whole) > 1e-3
        assert actual - one.whole <= 1e-9  # what the baseline gives is a log-probability
    assert len({one.steps for one in found}) > 1
    few = integrated_gradients(model, cases, tolerance=1e-9, most=8)
    assert {one.steps for one in few} == {8}
    assert not all(one.complete for one in few)


@pytest.mark.parametrize("shape", ["llama", "gpt2", "gemma2"])
def test_a_norm_forgets_lengths(taught, contrasts, shape):
    """Before the last norm, input x gradient adds up to zero (Euler), token by token, and a path
    from zero changes nothing but at its very beginning: that is reported."""
    model = precise(taught, shape)
    place = [Place("resid_post", LAYERS - 1)]
    for one in integrated_gradients(model, some(model, contrasts), place, baseline="zero", most=16):
        assert one.times_gradient.abs().max() < 1e-3
        assert abs(one.whole) > 0.1
        assert not one.complete
        assert one.steps == 16


def test_what_nothing_reads_gets_nothing(taught, contrasts):
    """Behind the last layer only the tokens that predict count; before it, others do, too."""
    model = precise(taught, "llama")
    for one in integrated_gradients(model, contrasts[:4], streams(LAYERS)):
        assert len(one.integrated) == len(one.input.ids) - 1
        unread = one.integrated[: one.input.start - 1]
        if one.place.component == "resid_post":
            assert unread.eq(0).all()
        else:
            assert unread.abs().max() > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["gpt_neox", "bert"])
@pytest.mark.parametrize("baseline", ["mean", "corrupted"])
def test_batches_change_nothing(taught, contrasts, shape, baseline):
    model = precise(taught, shape)
    cases = some(model, contrasts, 5) if baseline == "corrupted" else contrasts[::5]
    if shape == "bert" and baseline == "mean":
        cases = masked(cases)
    places = [Place("resid_pre", 1), Place("mlp_out", 0)]
    whole, parts = (
        integrated_gradients(model, cases, places, baseline=baseline, memory=memory)
        for memory in (None, 1)
    )
    for one, other in zip(whole, parts, strict=True):
        assert (one.contrast, one.place, one.steps) == (other.contrast, other.place, other.steps)
        np.testing.assert_allclose(one.integrated, other.integrated, atol=1e-9)
        np.testing.assert_allclose(one.times_gradient, other.times_gradient, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"contrasts": []}, ConfigError, "nothing to attribute"),
        ({"places": []}, ConfigError, "nothing to attribute"),
        ({"baseline": "noise"}, ConfigError, "known: mean, zero, corrupted"),
        ({"tolerance": 0}, ConfigError, "must be positive"),
        ({"places": [Place("pattern", 0)]}, ConfigError, "no gradients at pattern of layer 0"),
        ({"places": [Place("mlp_out", 7)]}, ConfigError, "layers 0 to 1"),
    ],
)
def test_refused(taught, contrasts, change, error, message):
    arguments = {"contrasts": contrasts[:1]} | change
    with pytest.raises(error, match=message):
        integrated_gradients(taught["llama"], **arguments)


def test_a_corrupted_baseline_needs_prompts_of_one_length(taught, contrasts):
    model = taught["llama"]
    same = even(model, contrasts)
    [odd, *_] = [c for c in contrasts if c not in same]
    with pytest.raises(DataError, match="do not match"):
        integrated_gradients(model, [odd], baseline="corrupted")
    with pytest.raises(ConfigError, match="resid_mid of layer 0"):
        integrated_gradients(taught["gpt_neox"], [odd], [Place("resid_mid", 0)])
