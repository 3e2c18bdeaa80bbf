"""What a value is with does not matter: other contrasts, other sites, their order, the memory."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from interp_rc.engine.interventions import FromPrompt, Noise
from interp_rc.engine.sites import Site
from interp_rc.tools.patching.patching import patch
from tests.engine.loop import HEADS, LAYERS, MASK, MASKED, WORDS, Pair

BASIS = torch.randn(4, 16, generator=torch.Generator().manual_seed(0))
INTERVENTIONS = (FromPrompt(), FromPrompt(BASIS), Noise(0.7, seed=3))


@st.composite
def some_pairs(draw, masked):
    word = st.sampled_from(WORDS)
    found = []
    for number in range(draw(st.integers(2, 4))):
        prompts, source = [], []
        for _ in range(2):
            words = draw(st.lists(word, min_size=2, max_size=8))
            begin = draw(st.integers(0, len(words) - 1))
            source.append((begin, draw(st.integers(begin + 1, len(words)))))
            prompts.append([*words, MASK] if masked else words)
        target = draw(st.lists(word, min_size=1, max_size=3))
        foil = draw(st.lists(word, min_size=1, max_size=2))
        assume(prompts[0] != prompts[1] and foil != target)  # else nothing could be measured
        found.append(Pair(f"pair {number}", *prompts, tuple(source), target, foil))
    asked = {(*pair.clean, "|", *pair.corrupted, "|", *pair.target) for pair in found}
    assume(len(asked) == len(found))
    return found


@st.composite
def some_sites(draw, whole):
    found = []
    for _ in range(draw(st.integers(2, 6))):
        names = "resid_pre attn_out resid_mid mlp_out resid_post".split()
        component = draw(st.sampled_from(names if whole else [*names, "z", "mlp_post"]))
        site = Site(
            component,
            draw(st.integers(0, LAYERS - 1)),
            draw(st.sampled_from(["source", "prompt"])),
            draw(st.sampled_from(["first", "last", "all"])),
        )
        unit = {"z": ("head", HEADS), "mlp_post": ("neuron", 20), "resid_pre": ("window", 4)}
        name, number = unit.get(component, ("window", 3))
        if not whole and draw(st.booleans()):
            least = name == "window"
            site = dataclasses.replace(site, **{name: draw(st.integers(least, number - 1))})
        found.append(site)
    return list(dict.fromkeys(found))


@pytest.mark.slow
@pytest.mark.usefixtures("precise_softmax")
@pytest.mark.parametrize("family", ["llama", "gemma2", "bert"])
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_neither_company_nor_order_changes_a_value(plain_models, family, data):
    model = plain_models(family)
    intervention = data.draw(st.sampled_from(INTERVENTIONS))
    pairs = data.draw(some_pairs(family in MASKED))
    sites = data.draw(
        some_sites(not (isinstance(intervention, FromPrompt) and intervention.basis is None))
    )
    options = {
        "metric": data.draw(st.sampled_from(["log_prob", "logit_difference", "kl"])),
        "into": data.draw(st.sampled_from(["corrupted", "clean"])),
        "intervention": intervention,
    }
    contrasts = [pair.contrast for pair in pairs]

    def values(some, asked, **more):
        return (
            patch(model, some, asked, **options, **more)
            .table.value.to_numpy()
            .reshape(len(some), -1)
        )

    together = values(contrasts, sites)
    mixed = data.draw(st.permutations(range(len(contrasts))))
    turned = data.draw(st.permutations(range(len(sites))))
    memory = data.draw(st.sampled_from([1, 50_000, None]))
    again = values([contrasts[n] for n in mixed], [sites[n] for n in turned], memory=memory)
    np.testing.assert_allclose(again, together[np.ix_(mixed, turned)], rtol=1e-12, atol=1e-12)
    number, site = mixed[0], turned[0]
    alone = values([contrasts[number]], [sites[site]])
    np.testing.assert_allclose(alone, together[number, site], rtol=1e-12, atol=1e-12)
