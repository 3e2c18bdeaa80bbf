"""Whatever looks at a model puts it into evaluation mode, and each module back into its own."""

import copy
import inspect

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import interp_rc as rc
from interp_rc.facts.tracings import Tracing
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.gradients.measure import cosine_table
from interp_rc.measures.registry import measure_class
from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.load import Loaded, load
from interp_rc.models.pooled_states import pooled_states
from interp_rc.pipeline.experiments import tools
from interp_rc.tools.gradients.training_steps import learn, restored
from interp_rc.training.options import TrainingOptions
from tests.conftest import untaught


class Asked:
    """What the entry points are asked about: a model and a few contrasts with their sites."""

    def __init__(self, model, contrasts):
        self.model, self.contrasts = model, contrasts
        self.prompts = [one.clean for one in contrasts]
        self.targets = [one.target for one in contrasts]
        self.sites = rc.sites(model, contrasts, ["resid_post@source.last", "mlp_out.0@source.all"])

    @property
    def tracings(self):
        return [
            Tracing(c.id, c.fact, c.clean, c.clean[slice(*c.spans["source"][0])], c.target)
            for c in self.contrasts
        ]

    def with_weights_moved(self):
        other = Loaded(copy.deepcopy(self.model.model), self.model.tokenizer)
        with torch.no_grad():
            for parameter in other.model.parameters():
                parameter.mul_(1.01)
        return other


def rome(asked):
    requests = rc.requests_of(asked.contrasts[:2])
    moments = rc.invertible(rc.second_moments(asked.model, asked.prompts, [0])[0])
    return rc.rome(asked.model, requests, 0, moments)


def weights_within(asked, context):
    with context:
        mode = asked.model.model.training
        found = rc.patch(asked.model, asked.contrasts, asked.sites)
        assert asked.model.model.training == mode
    return found


def rank(asked):
    return rc.rank_neurons(asked.model, asked.contrasts)


def exchanged_weights(asked):
    sites = [rc.WeightSite("mlp", 0)]
    return weights_within(asked, rc.exchanged(asked.model, asked.with_weights_moved(), sites))


def edited_weights(asked):
    width = asked.model.model.config.hidden_size
    neurons = asked.model.model.config.intermediate_size if not is_gpt2(asked.model) else 4 * width
    edit = rc.RankOne(0, torch.full((neurons,), 0.1), torch.full((width,), 0.1))
    return weights_within(asked, rc.edited(asked.model, [edit]))


def is_gpt2(model):
    return model.model.config.model_type == "gpt2"


ASK = {
    "attention": lambda a: rc.attention(a.model, a.contrasts),
    "attribute": lambda a: rc.attribute(a.model, a.contrasts, a.sites),
    "cut_costs": lambda a: rc.cut_costs(a.model, a.contrasts),
    "edited": edited_weights,
    "exchange_values": lambda a: rc.exchange_values(
        a.model, a.contrasts, rank(a), layer=0, ks=[1, 2]
    ),
    "exchanged": exchanged_weights,
    "integrated_gradients": lambda a: rc.integrated_gradients(a.model, a.contrasts[:2], most=32),
    "key_values": lambda a: rc.key_values(Adapter(a.model.model), 0),
    "knockout": lambda a: rc.knockout(a.model, a.contrasts, "prompt.last", "source"),
    "logit_attribution": lambda a: rc.logit_attribution(a.model, a.contrasts),
    "logit_lens": lambda a: rc.logit_lens(a.model, a.contrasts),
    "neuron_curves": lambda a: rc.neuron_curves(a.model, a.contrasts, rank(a), ks=[1, 4]),
    "neuron_writes": lambda a: rc.neuron_writes(a.model, a.prompts, a.targets),
    "patch": lambda a: rc.patch(a.model, a.contrasts, a.sites),
    "path_patch": lambda a: rc.path_patch(
        a.model,
        a.contrasts,
        rc.sites(a.model, a.contrasts, "attn_out.0@source.last"),
        rc.sites(a.model, a.contrasts, "mlp_out.1@prompt.last"),
    ),
    "promoted": lambda a: rc.promoted(a.model, 0, 3),
    "rank_neurons": rank,
    "rome": rome,
    "second_moments": lambda a: rc.second_moments(a.model, a.prompts, [0]),
    "sites": lambda a: rc.sites(a.model, a.contrasts, "resid_post@source.last"),
    "trace": lambda a: rc.trace(a.model, a.tracings, a.sites, draws=2),
    "update_readouts": lambda a: rc.update_readouts(
        a.model, a.with_weights_moved(), a.prompts, a.targets, points=2
    ),
}
INSIDE = {
    "cosine_table": lambda a: cosine_table(a.model, a.queries, "base"),
    "pooled_states": lambda a: pooled_states(a.model, a.prompts),
    "learn": lambda a: learnt_logits(a),
}
ASKS_NO_MODEL = {
    "Contrast", "Effects", "Fixed", "FromModel", "FromPrompt", "Loaded", "Mean", "Noise",
    "RankOne", "Request", "Site", "Span", "Tracing", "Triple", "WeightSite", "WithoutAdapters",
    "Zero", "contrasts_of", "invertible", "load", "rank_correlation", "read_contrasts",
    "read_tracings", "read_triples", "requests_of", "swapped", "write_contrasts",
}  # fmt: skip


def learnt_logits(asked):
    """After one step on a document."""
    with restored(asked.model.model):
        options = TrainingOptions(learning_rate=1e-3)
        learn(asked.model, asked.documents, options, optimizer_of(asked.model.model))
        return pooled_states(asked.model, asked.prompts)


def optimizer_of(model):
    return torch.optim.SGD(model.requires_grad_(True).parameters(), lr=0.1)


def numbers(found):
    """Every number of a result, in order."""
    if isinstance(found, torch.Tensor):
        return [found.detach().double().flatten().numpy()]
    if isinstance(found, np.ndarray):
        return [found.astype(float).ravel()]
    if isinstance(found, pd.DataFrame):
        return [column.to_numpy(float) for _, column in found.select_dtypes("number").items()]
    if isinstance(found, int | float):
        return [np.array([float(found)])]
    if isinstance(found, dict):
        return [part for value in found.values() for part in numbers(value)]
    if isinstance(found, list | tuple):
        return [part for value in found for part in numbers(value)]
    if hasattr(found, "__dataclass_fields__"):
        return [p for name in found.__dataclass_fields__ for p in numbers(getattr(found, name))]
    return []


def with_dropout(loaded, rate=0.3):
    """A copy that drops what its MLPs and, in GPT-2, its embeddings and attention give."""
    model = copy.deepcopy(loaded.model)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
    parts = Adapter(model).parts
    for block in parts.blocks:
        block.mlp.register_forward_hook(
            lambda m, _, out: nn.functional.dropout(out, rate, m.training)
        )
    return Loaded(model, loaded.tokenizer)


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def asked(request, tokenizer, contrasts, told):
    made = Asked(with_dropout(untaught(tokenizer, request.param)), contrasts[:3])
    made.queries = [one for one in told.queries if one.group == "trained_forward"]
    made.documents = told.documents[:2]
    return made


def in_both_modes(ask, asked):
    """What comes out in evaluation and in training mode, which must be left as it was."""
    model = asked.model.model
    model.eval()
    before = numbers(ask(asked))
    model.train()
    model.get_input_embeddings().eval()  # a part that evaluates while the rest trains
    modes = [module.training for module in model.modules()]
    after = numbers(ask(asked))
    assert [module.training for module in model.modules()] == modes
    return before, after


@pytest.mark.parametrize("name", [*ASK, *INSIDE])
def test_training_mode_changes_no_number_and_is_left_as_it_was(name, asked):
    before, after = in_both_modes((ASK | INSIDE)[name], asked)
    assert before
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_public_name_is_asked_in_training_mode_or_asks_no_model():
    assert set(ASK) | ASKS_NO_MODEL == set(rc.__all__) - {"__version__"}
    assert not set(ASK) & ASKS_NO_MODEL
    for name in ASKS_NO_MODEL - {"load"}:
        own = getattr(rc, name)
        if inspect.isfunction(own):
            assert "Loaded" not in str(inspect.signature(own)), name


def test_a_model_fresh_in_training_mode_is_not_blamed_on_its_adapter(tokenizer):
    model = with_dropout(untaught(tokenizer, "gpt2")).model.train()
    assert Adapter(model).layers == 2
    assert model.training


def test_the_dropout_of_these_tests_would_be_seen(asked):
    model = asked.model.model.train()
    ids = torch.tensor([asked.model.tokenizer(asked.prompts[0]).input_ids])
    with torch.no_grad():
        one, other = (model(input_ids=ids).logits for _ in range(2))
    assert not torch.equal(one, other)


LIGHT = {
    "bilinear": {"shuffles": 1},
    "editing": {"facts": 4},
    "erasure": {"facts": 2},
    "movement": {"steps": 2},
    "probe": {"shuffles": 1},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", tools())
def test_no_measure_inside_a_model_minds_its_mode(kind, learnt_run):
    """Every kind of the registry, so that a new one is tested without being named here."""
    measure = measure_class(kind)
    model = with_dropout(load(learnt_run.model))
    found = []
    for training in (False, True):
        model.model.train(training)
        made = run_measure(measure(**LIGHT.get(kind, {})), MeasureContext(learnt_run, model))
        assert model.model.training == training
        found.append({name: one.value for name, one in made.estimates.items()})
    assert found[0]
    assert found[0] == found[1]
