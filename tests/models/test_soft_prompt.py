"""A soft prompt stands before every text, counted by nobody but the model; proved by hand."""

import copy
import json
import shutil

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from interp_rc.models.adapters.adapter import Adapter
from interp_rc.models.completion import complete
from interp_rc.models.load import Loaded, load, save
from interp_rc.models.scoring import score
from interp_rc.models.soft_prompt import context_of, soft_prompted
from interp_rc.records.errors import ModelError, ScoringError

LENGTH = 5
PROMPTS = ["Once upon", "Once upon a time there was", "It is said that the author of"]
TARGETS = [" a", " nobody who knew it", " it"]


@pytest.fixture(scope="module")
def prompted(tiny):
    """Each family behind five embeddings that differ much from those of tokens."""
    base = copy.deepcopy(tiny.model)
    before = {name: weights.clone() for name, weights in base.state_dict().items()}
    model = soft_prompted(base, LENGTH)
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        soft = model.prompt_encoder["default"].embedding.weight
        soft += 0.5 * torch.randn(soft.shape, generator=draw)
    assert all(torch.equal(w, before[name]) for name, w in base.state_dict().items())
    return Loaded(model.eval(), tiny.tokenizer)


@torch.no_grad()
def by_hand(loaded, text):
    """Logits at every position of the text, from embeddings joined here."""
    model = loaded.model
    ids = torch.tensor([loaded.tokenizer(text).input_ids])
    soft = model.prompt_encoder["default"].embedding.weight
    embedded = torch.cat([soft, model.base_model.get_input_embeddings()(ids[0])])
    logits = model.base_model(inputs_embeds=embedded[None], use_cache=False).logits[0, LENGTH:]
    return ids[0], logits


def test_only_the_soft_prompt_can_learn(prompted, tiny):
    learning = [name for name, w in prompted.model.named_parameters() if w.requires_grad]
    assert learning == ["prompt_encoder.default.embedding.weight"]
    width = tiny.model.config.hidden_size
    assert prompted.model.prompt_encoder["default"].embedding.weight.shape == (LENGTH, width)


def test_a_new_soft_prompt_is_made_of_token_embeddings(tiny):
    torch.manual_seed(0)
    soft = soft_prompted(copy.deepcopy(tiny.model), 9).prompt_encoder["default"].embedding.weight
    rows = tiny.model.get_input_embeddings().weight
    assert all((rows == vector).all(1).any() for vector in soft)


def test_scores_are_those_of_joined_embeddings(prompted, tiny):
    found = score(*prompted, PROMPTS, TARGETS)
    bare = score(*tiny, PROMPTS, TARGETS)
    for i, (prompt, target) in enumerate(zip(PROMPTS, TARGETS, strict=True)):
        ids, logits = by_hand(prompted, prompt + target)
        start = len(ids) - int(found.n_tokens[i])
        log_probs = logits.double().log_softmax(-1)
        expected = sum(log_probs[at - 1, ids[at]] for at in range(start, len(ids)))
        assert found.log_prob[i].item() == pytest.approx(expected.item(), abs=1e-4)
        chosen = [logits[at - 1].argmax() == ids[at] for at in range(start, len(ids))]
        assert bool(found.greedy[i]) == all(chosen)
    assert (found.log_prob - bare.log_prob).abs().min() > 1e-3  # it does something


def test_completions_are_those_of_joined_embeddings(prompted):
    texts = complete(*prompted, PROMPTS, max_new_tokens=[6, 4, 5])
    for prompt, text, length in zip(PROMPTS, texts, [6, 4, 5], strict=True):
        said = list(prompted.tokenizer(prompt).input_ids)
        begun = len(said)
        model, soft = prompted.model, prompted.model.prompt_encoder["default"].embedding.weight
        for _ in range(length):
            rows = model.base_model.get_input_embeddings()(torch.tensor(said))
            logits = model.base_model(inputs_embeds=torch.cat([soft, rows])[None]).logits
            said.append(int(logits[0, -1].argmax()))
            if said[-1] == prompted.tokenizer.eos_token_id:
                break
        assert text == prompted.tokenizer.decode(said[begun:], skip_special_tokens=True)


def test_a_repetition_penalty_of_the_base_is_put_aside(prompted):
    own = prompted.model.base_model.generation_config
    plain = complete(*prompted, PROMPTS, max_new_tokens=[8] * 3)
    own.repetition_penalty = 1000.0
    try:
        assert complete(*prompted, PROMPTS, max_new_tokens=[8] * 3) == plain
        assert prompted.model.base_model.generation_config is own
    finally:
        own.repetition_penalty = 1.0


@torch.no_grad()
def test_padding_changes_nothing(prompted):
    ids, logits = by_hand(prompted, PROMPTS[1])
    padded = torch.cat([ids, ids.new_zeros(4)])[None]
    mask = torch.cat([torch.ones_like(ids), ids.new_zeros(4)])[None]
    found = prompted.model(input_ids=padded, attention_mask=mask).logits
    assert found.shape[1] == len(ids) + 4
    torch.testing.assert_close(found[0, : len(ids)], logits, rtol=1e-4, atol=1e-4)
    cut = prompted.model(input_ids=ids[None, :3], use_cache=True)
    rest = prompted.model(
        input_ids=ids[None, 3:],
        attention_mask=torch.ones_like(ids)[None],
        past_key_values=cut.past_key_values,
    ).logits
    torch.testing.assert_close(rest[0], logits[3:], rtol=1e-4, atol=1e-4)


def test_it_takes_its_length_of_the_context(prompted, tiny):
    assert context_of(tiny.model) == 96
    assert context_of(prompted.model) == 96 - LENGTH
    text = "a" + " a" * 200
    fits = 96 - LENGTH - len(prompted.tokenizer("").input_ids)
    ids = prompted.tokenizer(text).input_ids
    short = prompted.tokenizer.decode(ids[: fits + 1], skip_special_tokens=True)
    score(*prompted, [short[:-2]], [short[-2:]])
    with pytest.raises(ScoringError, match=f"the model reads {96 - LENGTH}"):
        score(*prompted, [short], [" a a"])


def test_saved_it_is_loaded_again_and_peft_reads_it_too(prompted, tmp_path):
    save(Loaded(prompted.model.base_model, prompted.tokenizer), tmp_path / "base")
    save(prompted, tmp_path / "model")
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= {
        path.name for path in (tmp_path / "model").iterdir()
    }
    assert not list((tmp_path / "model").glob("*.md"))
    config = json.loads((tmp_path / "model" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "../base"
    again, expected = load(tmp_path / "model"), score(*prompted, PROMPTS, TARGETS)
    found = again.model.state_dict()
    assert all(torch.equal(w, found[name]) for name, w in prompted.model.state_dict().items())
    found = score(*again, PROMPTS, TARGETS).log_prob
    torch.testing.assert_close(found, expected.log_prob, rtol=1e-6, atol=1e-5)
    theirs = PeftModel.from_pretrained(load(tmp_path / "base").model, str(tmp_path / "model"))
    ids, logits = by_hand(prompted, PROMPTS[0])
    with torch.no_grad():
        found = theirs(input_ids=ids[None]).logits[0]
    torch.testing.assert_close(found[-len(ids) :], logits, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def saved(taught, tmp_path_factory):
    """A folder that holds `model`, and its base beside it although nobody put it there."""
    folder = tmp_path_factory.mktemp("saved")
    model = soft_prompted(copy.deepcopy(taught["llama"].model), LENGTH)
    save(Loaded(model, taught["llama"].tokenizer), folder / "model")
    return folder


def damaged(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def test_the_base_is_saved_beside_it(saved):
    assert (saved / "base" / "model.safetensors").is_file()
    assert context_of(load(saved / "model").model) == 96 - LENGTH


def test_a_soft_prompt_without_its_base(saved, tmp_path):
    folder = damaged(saved, tmp_path)
    (folder / "base").rename(folder / "elsewhere")
    with pytest.raises(ModelError, match=r"needs its base model in .*base, which is not there"):
        load(folder / "model")


def test_weights_that_could_run_code_are_not_read(saved, tmp_path):
    folder = damaged(saved, tmp_path)
    (folder / "model" / "adapter_model.safetensors").rename(folder / "model" / "adapter_model.bin")
    with pytest.raises(ModelError, match=r"holds no adapter_model\.safetensors"):
        load(folder / "model")


def test_another_kind_of_adapter(saved, tmp_path):
    folder = damaged(saved, tmp_path)
    (folder / "model" / "adapter_config.json").write_text('{"peft_type": "IA3"}')
    with pytest.raises(ModelError, match="an adapter of type IA3; merge it"):
        load(folder / "model")


def test_a_soft_prompt_of_another_width(saved, tmp_path):
    folder = damaged(saved, tmp_path)
    file = folder / "model" / "adapter_model.safetensors"
    save_file({name: w[:, :-1].contiguous() for name, w in load_file(file).items()}, file)
    with pytest.raises(ModelError, match="no soft prompt that fits the model beside it"):
        load(folder / "model")


def test_what_looks_inside_refuses_it(prompted):
    with pytest.raises(ModelError, match="after a soft prompt, whose positions no tool counts"):
        Adapter(prompted.model)
