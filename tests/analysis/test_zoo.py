"""The zoo of architectures: nothing is silently wrong, and the page says what its table says."""

import pandas as pd
import pytest
import torch
import transformers

from analysis import zoo
from analysis.descriptions import TABLES
from analysis.old_names import read_table
from analysis.zoo_models import architectures, build_small, small_config
from interp_rc.models.adapters.adapter import FAMILIES
from interp_rc.models.load import Loaded
from interp_rc.models.planted.plant import word_tokenizer
from interp_rc.records.strict_json import read_json

IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
ODD = {  # states, convolutions, windows, experts, learnt positions, parts for images
    "bamba", "bart", "bert", "bloom", "falcon", "falcon_h1", "falcon_mamba", "gemma3", "gpt_neo",
    "jamba", "lfm2", "llama4_text", "mamba", "mamba2", "mpt", "opt", "phi3", "qwen3_next",
    "recurrent_gemma", "roberta", "rwkv", "xglm", "xlnet",
}  # fmt: skip


@pytest.fixture(scope="module")
def table():
    return read_table(TABLES / "zoo.csv").fillna("")


@pytest.mark.slow
def test_a_fixed_part_of_the_zoo_is_right_or_refused(table):
    """With every family that has an adapter; the whole is the command's: python -m analysis.zoo."""
    zoo.quietly()
    torch.set_num_threads(1)
    chosen = sorted((ODD | set(FAMILIES)) & set(architectures()))
    found = pd.DataFrame(zoo.rows(chosen)).set_index("model_type")
    verdicts = ["scores", "greedy", "patching"]
    assert not found[found[verdicts].isin([zoo.WRONG]).any(axis=1)].reason.to_dict()
    assert (found[found[verdicts].isin([zoo.REFUSED]).any(axis=1)].reason != "").all()
    if read_json(TABLES / "zoo.environment.json")["table"]["packages"]["transformers"] == (
        transformers.__version__
    ):
        pd.testing.assert_frame_equal(
            found[verdicts], table.set_index("model_type").loc[chosen, verdicts]
        )


def test_the_table_holds_nothing_wrong_and_every_architecture(table):
    verdicts = table[["scores", "greedy", "patching"]]
    assert set(verdicts.to_numpy().ravel()) <= {zoo.HOLDS, zoo.REFUSED, zoo.NOT_ASKED}
    assert (table[(verdicts != zoo.HOLDS).any(axis=1)].reason != "").all()
    assert (table.scores == zoo.HOLDS).sum() > 100
    if read_json(TABLES / "zoo.environment.json")["table"]["packages"]["transformers"] == (
        transformers.__version__
    ):
        assert table.model_type.tolist() == architectures()


def test_the_page_is_generated_from_the_table(table):
    made_by = read_json(TABLES / "zoo.environment.json")["table"]["packages"]["transformers"]
    assert zoo.DOCS.read_text(encoding="utf-8") == zoo.page(table, made_by)


def test_what_reads_ahead_is_refused(table):
    refused = table.set_index("model_type").scores
    assert refused[["reformer", "cpmant"]].tolist() == [zoo.REFUSED] * 2


@pytest.fixture
def gpt2():
    model = build_small(small_config("gpt2", len(zoo.WORDS), **IDS))
    return Loaded(model, word_tokenizer(zoo.WORDS))


@pytest.mark.parametrize("question", ["scores", "greedy", "patching"])
def test_the_zoo_sees_what_is_wrong(question, gpt2, monkeypatch):
    """Each question holds of a small GPT-2, and no longer once the package asks another model."""
    ask = getattr(zoo, question)
    assert ask(gpt2) <= zoo.TOLERANCE
    other = Loaded(build_small(gpt2.model.config, seed=1), gpt2.tokenizer)
    name = {"scores": "score", "greedy": "complete", "patching": "patch"}[question]
    own = getattr(zoo, name)

    def of_another(model, *rest, **options):
        return own(other if isinstance(model, Loaded) else other.model, *rest, **options)

    monkeypatch.setattr(zoo, name, of_another)
    assert ask(gpt2) > 100 * zoo.TOLERANCE
