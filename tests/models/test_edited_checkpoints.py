"""A checkpoint's files may have been edited by anyone: one line names the file, and none hangs."""

import copy
import json
import random
import shutil
import time

import pytest
import torch
from safetensors.torch import load_file

from interp_rc.models.completion import complete
from interp_rc.models.load import load, save
from interp_rc.models.scoring import score
from interp_rc.models.soft_prompt import soft_prompted
from interp_rc.records.errors import ModelError
from tests.conftest import untaught
from tests.models.test_lora import adapted

GONE = object()
VALUES = [
    None,
    True,
    "x",
    -1,
    0,
    12,
    1.5,
    10**9,
    10**30,
    float("inf"),
    float("nan"),
    [],
    [None],
    [1, 2],
    {},
    {"a": {"b": 1}},
    GONE,
]
FILES = [
    "base/config.json",
    "base/generation_config.json",
    "base/tokenizer_config.json",
    "base/tokenizer.json",
    "lora/adapter_config.json",
    "soft/adapter_config.json",
]
PATIENCE = 20  # seconds


@pytest.fixture(scope="module")
def folders(tokenizer, tmp_path_factory):
    """A model of each shape, and the adapters of one."""
    made = {}
    for shape in ("llama", "gpt2", "gpt_neox", "qwen2"):
        folder = made[shape] = tmp_path_factory.mktemp(shape)
        model = untaught(tokenizer, shape)
        save(model, folder / "base")
        adapted(model, "../base").save_pretrained(str(folder / "lora"), save_embedding_layers=False)
        soft = soft_prompted(copy.deepcopy(model.model), 3)
        save(model._replace(model=soft), folder / "soft")
    return made


def places(value, path=()):
    """Where anything stands, of lists the first two entries."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(min(len(value), 2)):
            yield (*path, key)
            yield from places(value[key], (*path, key))


def edited(content, path, value):
    content = inner = copy.deepcopy(content)
    for key in path[:-1]:
        inner = inner[key]
    if value is GONE:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return content


def loads_and_computes(folder):
    """Whether numbers come out; a ModelError of one line that names the place is no fault."""
    begun, loaded, message = time.monotonic(), None, ""
    try:
        loaded = load(folder)
    except ModelError as error:
        message = str(error)
    assert time.monotonic() - begun < PATIENCE
    if loaded is None:
        assert "\n" not in message
        assert str(folder.parent) in message
        return False
    scores = score(*loaded, ["A text", "Who is"], [" of words", " it"])
    assert scores.log_prob.isfinite().all()
    complete(*loaded, ["A text"], max_new_tokens=[2])
    return True


def edits(folders, draw, count):
    for _ in range(count):
        file = draw.choice(FILES)
        whole = folders[draw.choice(sorted(folders))] / file
        path = draw.choice([*places(json.loads(whole.read_text()))])
        yield whole, path, draw.choice(VALUES)


def try_all(chosen):
    outcomes = []
    for file, path, value in chosen:
        before = file.read_text()
        file.write_text(json.dumps(edited(json.loads(before), path, value)))
        try:
            outcomes.append(loads_and_computes(file.parent))
        except Exception as error:
            raise AssertionError(f"{file.name}: {path} as {value!r}") from error
        finally:
            file.write_text(before)
    return outcomes


def test_some_edits(folders):
    outcomes = try_all(edits(folders, random.Random(0), 20))
    assert set(outcomes) == {True, False}


@pytest.mark.slow
def test_every_key_of_a_configuration_with_every_value(folders):
    file = folders["llama"] / "base/config.json"
    content = json.loads(file.read_text())
    assert try_all((file, path, value) for path in places(content) for value in VALUES)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_many_edits(folders, seed):
    try_all(edits(folders, random.Random(f"edits {seed}"), 200))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("text", ["", "[]", "3", "{", "nul", '"' * 99, "[" * 9999, "\x00\xff"])
def test_files_that_hold_something_else(folders, file, text):
    whole = folders["llama"] / file
    before = whole.read_bytes()
    whole.write_text(text, encoding="latin-1")
    try:
        assert not loads_and_computes(whole.parent)
    finally:
        whole.write_bytes(before)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", 10**9),
        ("num_hidden_layers", 10**9),
        ("num_hidden_layers", 10**6),
        ("intermediate_size", 10**8),
        ("vocab_size", 10**9),
        ("num_attention_heads", 10**9),
        ("head_dim", 10**8),
    ],
)
def test_what_would_not_fit_into_memory_is_not_built(folders, tmp_path, key, value):
    folder = shutil.copytree(folders["llama"] / "base", tmp_path / "base")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {key: value}))
    with pytest.raises(ModelError, match=r"config.json.*give the config.json that was saved"):
        load(folder)


def test_the_file_and_the_key_are_named(folders, tmp_path):
    folder = shutil.copytree(folders["llama"] / "base", tmp_path / "base")
    config = json.loads((folder / "config.json").read_text())
    for key, value in (("num_hidden_layers", "x"), ("rms_norm_eps", [1]), ("architectures", 3)):
        (folder / "config.json").write_text(json.dumps(config | {key: value}))
        with pytest.raises(ModelError, match=key):
            load(folder)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_text('{"eos_token_id": {"a": 1}}')
    with pytest.raises(ModelError, match=r'generation_config.json: "eos_token_id" is'):
        load(folder)


def damages(draw, size, count):
    """Bytes that are flipped, most of them in the header, and files that are cut off."""
    for _ in range(count):
        yield draw.choice([draw.randrange(size), draw.randrange(2500)]), 1 << draw.randrange(8)


def one_damage(folder, where, bit, expected):
    """Refused, or only numbers of weights differ: none is dropped, or put in another's place."""
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:where] + bytes([whole[where] ^ bit]) + whole[where + 1 :])
    try:
        return not loads_and_computes(folder) or load_file(file).keys() == expected.keys()
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize("count", [30, pytest.param(150, marks=pytest.mark.slow)])
def test_weights_of_which_a_bit_was_flipped(folders, count):
    folder = folders["llama"] / "base"
    expected = load_file(folder / "model.safetensors")
    size = (folder / "model.safetensors").stat().st_size
    for where, bit in damages(random.Random(count), size, count):
        assert one_damage(folder, where, bit, expected), (where, bit)


def test_weights_that_were_cut_off(folders, tmp_path):
    folder = shutil.copytree(folders["gpt2"] / "base", tmp_path / "base")
    whole = (folder / "model.safetensors").read_bytes()
    for length in (0, 1, 7, 8, 9, 500, len(whole) // 2, len(whole) - 1):
        (folder / "model.safetensors").write_bytes(whole[:length])
        assert not loads_and_computes(folder)


def test_weights_of_whole_numbers(folders, tmp_path):
    """One letter of a header makes other numbers of the same bytes."""
    folder = shutil.copytree(folders["llama"] / "base", tmp_path / "base")
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    at = whole.index(b'"F32"', whole.index(b"q_proj.weight"))
    file.write_bytes(whole[:at] + b'"I32"' + whole[at + 5 :])
    with pytest.raises(ModelError, match=r"q_proj.weight.* holds whole numbers \(I32\)"):
        load(folder)


def test_an_adapter_of_weights_that_are_no_numbers(folders, tmp_path):
    from safetensors.torch import save_file

    shutil.copytree(folders["llama"], tmp_path / "all")
    file = tmp_path / "all/lora/adapter_model.safetensors"
    weights = load_file(file)
    weights[max(weights)].fill_(torch.nan)
    save_file(weights, file)
    with pytest.raises(ModelError, match=r"lora holds weights that are no numbers: .*lora_B"):
        load(file.parent)
