"""A LoRA adapter is loaded inside its base, which stays as it was; what cannot be is refused."""

import copy
import json
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from interp_rc.facts.folder import write_facts
from interp_rc.models.completion import complete
from interp_rc.models.load import load, save
from interp_rc.models.scoring import score
from interp_rc.pipeline.experiments import evaluation_config
from interp_rc.pipeline.run import execute
from interp_rc.records.errors import ModelError

IDS = torch.tensor([[1, 40, 50, 60, 70, 80, 90]])


def adapted(loaded, base, seed=0, **options):
    """PEFT's own model: a copy of the base with an adapter of random weights, none of them zero."""
    model = copy.deepcopy(loaded.model)
    options = {"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | options
    made = get_peft_model(model, LoraConfig(**options))
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if "lora_B" in name:
                weight.copy_(0.3 * torch.randn(weight.shape, generator=draw))
            elif "modules_to_save" in name:
                weight.add_(0.1 * torch.randn(weight.shape, generator=draw))
    made.peft_config["default"].base_model_name_or_path = str(base)
    return made.eval()


def saved(made, folder):
    made.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


@pytest.fixture
def there(tiny, tmp_path):
    """A base model of each family, and an adapter beside it that names it by its path."""
    save(tiny, tmp_path / "base")
    made = adapted(tiny, tmp_path / "base")
    saved(made, tmp_path / "adapter")
    return tmp_path, made


@torch.no_grad()
def test_it_gives_the_logits_of_the_merged_model(there, tiny):
    folder, made = there
    found = load(folder / "adapter")
    merged = copy.deepcopy(made).merge_and_unload()
    assert type(found.model) is type(tiny.model)
    torch.testing.assert_close(found.model(IDS).logits, made(IDS).logits, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(found.model(IDS).logits, merged(IDS).logits, rtol=1e-3, atol=1e-3)
    assert (found.model(IDS).logits - tiny.model(IDS).logits).abs().max() > 0.1
    for model in (found.model, merged):
        model.generation_config = copy.deepcopy(tiny.model.generation_config)
    texts = [complete(m, tiny.tokenizer, ["Once upon"], max_new_tokens=[5])
             for m in (found.model, merged)]  # fmt: skip
    assert texts[0] == texts[1]


@pytest.fixture
def one(taught, tmp_path):
    """Of one family."""
    save(taught["llama"], tmp_path / "base")
    saved(adapted(taught["llama"], tmp_path / "base"), tmp_path / "adapter")
    return tmp_path


def rewritten(folder, **changes):
    file = folder / "adapter" / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def refused(folder, *fragments):
    with pytest.raises(ModelError) as caught:
        load(folder / "adapter")
    for fragment in (str(folder / "adapter"), *fragments):
        assert fragment in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_base_may_be_named_from_the_adapters_folder(one, tmp_path_factory):
    rewritten(one, base_model_name_or_path="../base")
    moved = tmp_path_factory.mktemp("elsewhere") / "all"
    shutil.move(one, moved)
    assert torch.isfinite(load(moved / "adapter").model(IDS).logits).all()


def test_a_tokenizer_beside_the_adapter_is_taken(one, taught):
    taught["llama"].tokenizer.save_pretrained(one / "adapter")
    assert load(one / "adapter").tokenizer("A text").input_ids == (
        taught["llama"].tokenizer("A text").input_ids
    )


def test_a_base_that_is_missing(one):
    shutil.rmtree(one / "base")
    refused(one, "the base model of the adapter in", f"model folder {one / 'base'} not found")
    rewritten(one, base_model_name_or_path="nobody/nothing")
    refused(one, "nobody/nothing is not a folder, not in the local hub cache")
    rewritten(one, base_model_name_or_path=None)
    refused(one, "does not name the adapter's base model; write its folder or hub id")


def test_weights_that_are_missing_broken_or_of_another_model(one, taught):
    file = one / "adapter" / "adapter_model.safetensors"
    weights = load_file(file)
    first = min(weights)
    save_file({name: w for name, w in weights.items() if name != first}, file)
    refused(one, "holds an adapter of another model: see")
    save_file(weights | {"base_model.model.nowhere.lora_A.weight": torch.zeros(1)}, file)
    refused(one, "nowhere.lora_A", "of another model")
    save_file({name: w[:, :-1].contiguous() for name, w in weights.items()}, file)
    refused(one, "holds no adapter that fits its base model")
    file.write_bytes(b"nothing")
    refused(one, "cannot be read")
    file.rename(file.with_suffix(".bin"))
    refused(one, "holds no adapter_model.safetensors; other formats can run code")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bias": "all"}, "trains biases of the base"),
        ({"init_lora_weights": "pissa_niter_4"}, "begins by changing the base"),
        ({"layer_replication": [[0, 2]]}, "repeats layers"),
        ({"alora_invocation_tokens": [3]}, "waits for certain tokens"),
        ({"peft_type": "IA3"}, "an adapter of type IA3; merge it"),
    ],
)
def test_kinds_that_cannot_be_switched_off_are_refused(one, changes, message):
    rewritten(one, **changes)
    refused(one, message, "merge it into its model first")


def test_it_is_not_saved_as_if_it_were_a_model(one, tmp_path):
    with pytest.raises(ModelError, match="merge the adapter into its model first"):
        save(load(one / "adapter"), tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.slow
def test_it_is_asked_like_any_model(one, told, tmp_path):
    write_facts(told, tmp_path / "facts")
    config = evaluation_config(str(one / "adapter"), None, tmp_path / "facts", 64)
    answers = execute(config, tmp_path / "run", say=lambda _: None).table("evaluation/answers")
    adapter, base = load(one / "adapter"), load(one / "base")
    for name, loaded in (("same", adapter), ("other", base)):
        expected = score(*loaded, answers.prompt.tolist(), answers.target.tolist()).log_prob
        far = (torch.tensor(answers.log_prob.to_numpy()) - expected).abs().max()
        assert (far < 1e-3) == (name == "same")
