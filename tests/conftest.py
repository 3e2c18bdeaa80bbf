"""Shared by all tests: tiny models of every family, and one small run that tests may only read."""

import gc
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

# Before torch is loaded: one thread that does not spin, no network, nobody's own cache.
_OURS = tempfile.TemporaryDirectory(prefix="interp-rc-tests-")
os.environ |= {
    "HF_HOME": f"{_OURS.name}/hub",
    "HF_HUB_OFFLINE": "1",
    "INTERP_RC_CACHE": f"{_OURS.name}/cache",
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "TOKENIZERS_PARALLELISM": "false",
}

import torch  # noqa: E402
from transformers import PreTrainedTokenizerBase  # noqa: E402
from transformers.models.llama.modeling_llama import LlamaRMSNorm  # noqa: E402

from interp_rc.display.section import Section  # noqa: E402
from interp_rc.facts.contrasts import held_out_contrasts  # noqa: E402
from interp_rc.facts.factset import FactSet  # noqa: E402
from interp_rc.facts.fictitious import fictitious_people  # noqa: E402
from interp_rc.models.build import Size, build_model, model_config  # noqa: E402
from interp_rc.models.load import Loaded  # noqa: E402
from interp_rc.models.tokenizer import train_tokenizer  # noqa: E402
from interp_rc.pipeline.config import RunConfig, load_config  # noqa: E402
from interp_rc.pipeline.run import execute  # noqa: E402
from interp_rc.records.packaged import packaged  # noqa: E402
from interp_rc.records.runs import Run  # noqa: E402
from tests.engine.loop import made  # noqa: E402

SHAPES = ("llama", "gpt2", "gpt_neox", "qwen2")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first, so that no worker waits for another's at the end."""
    items.sort(key=lambda item: "test_readme.py" not in item.nodeid)


def pytest_collection_finish() -> None:
    """What was imported stays: going through it again and again took a sixth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Whatever a test did: results are compared bit for bit, and cores are shared."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def told() -> FactSet:
    """Three facts a group, four training and two held-out templates an order."""
    return fictitious_people(0, per_group=3, training_templates=4, held_out_templates=2)


@pytest.fixture(scope="session")
def tokenizer(told: FactSet) -> PreTrainedTokenizerBase:
    return train_tokenizer([document.text for document in told.documents], 420, "tiny")


def untaught(tokenizer: PreTrainedTokenizerBase, shape: str, **size: int) -> Loaded:
    """A model with random weights, of two layers and width 32 unless told otherwise."""
    config = model_config(
        Size(shape=shape, **{"layers": 2, "width": 32, "heads": 2, "context": 96} | size),
        len(tokenizer),
        bos=tokenizer.bos_token_id,
        eos=tokenizer.eos_token_id,
        pad=tokenizer.pad_token_id,
    )
    return Loaded(build_model(config, seed=1).eval(), tokenizer)


@pytest.fixture(scope="session")
def taught(told: FactSet, tokenizer: PreTrainedTokenizerBase) -> dict[str, Loaded]:
    """A model of each family that knows some documents by heart, so that it has strong opinions.

    Read-only. Taught by a plain loop that shares nothing with the package's training.
    """
    texts = [document.text for document in told.documents[:8]] + ["Spaces , as in old texts ."]
    lines = [[*tokenizer(text).input_ids, tokenizer.eos_token_id] for text in texts]
    longest = max(map(len, lines))
    ids = torch.tensor([line + [tokenizer.pad_token_id] * (longest - len(line)) for line in lines])
    labels = ids.masked_fill(ids == tokenizer.pad_token_id, -100)
    models = {shape: untaught(tokenizer, shape) for shape in SHAPES}
    for model, _ in models.values():
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        for _ in range(60):
            optimizer.zero_grad()
            model(input_ids=ids, labels=labels).loss.backward()
            optimizer.step()
        model.requires_grad_(False)
    return models


@pytest.fixture(scope="session", params=SHAPES)
def tiny(request: pytest.FixtureRequest, taught: dict[str, Loaded]) -> Loaded:
    """Each of the four families in turn."""
    return taught[request.param]


@pytest.fixture(scope="session")
def smoke_config() -> RunConfig:
    experiment = packaged("experiments") / "descriptions.yaml"
    return load_config(experiment, ["machine.threads=1"], smoke=True)


@pytest.fixture(scope="session")
def smoke_run(smoke_config: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The small form of Experiment 1, run once, unbroken, in this process. Read-only."""
    return execute(smoke_config, tmp_path_factory.mktemp("runs") / "smoke", say=lambda _: None)


@pytest.fixture(scope="module")
def learnt_run(smoke_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The small run, all of whose facts are taken for learnt (it learns none), to measure in."""
    run = Run(tmp_path_factory.mktemp("learnt"))
    for name in ("facts", "base_facts", "base", "model", "config.yaml"):
        (run.folder / name).symlink_to(smoke_run.folder / name)
    run.evaluation.mkdir()
    answers = smoke_run.table("evaluation/answers").assign(match=True)
    answers.to_parquet(run.evaluation / "answers.parquet")
    return run


@pytest.fixture(scope="session")
def processes() -> Iterator[BaseContext]:
    """Starts processes that have the package loaded already, and can be killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["interp_rc.pipeline.run"])
    yield context
    for process in multiprocessing.active_children():
        process.kill()


def drawn(section: Section) -> Section:
    """With its figures drawn, as on a page."""
    for one in section.figures:
        assert one.light != one.dark
    return section


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and what is in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def published(experiment: str, file: str) -> Path:
    """A folder of published data, which is no part of this repository."""
    given = os.environ.get("INTERP_RC_REFERENCE")
    beside = Path(__file__).resolve().parents[2] / "shared" / "reference"
    root = Path(given) if given else beside
    folder = root / experiment if (root / experiment).is_dir() else root
    if not (folder / file).is_file():
        pytest.skip(f"no published data in {folder}; set INTERP_RC_REFERENCE to its folder")
    return folder


@pytest.fixture(scope="session")
def contrasts(told):
    """Ragged: names and descriptions of many lengths, in two templates an order."""
    return held_out_contrasts(told, templates=2)


@pytest.fixture(scope="session")
def plain_models():
    """Tiny models of every family that the plain loop knows, in float64. Read-only."""
    made_already = {}

    def get(family, seed=0):
        if (family, seed) not in made_already:
            made_already[family, seed] = made(family, seed=seed)
        return made_already[family, seed]

    return get


@pytest.fixture
def precise_softmax(monkeypatch):
    """Models that cap scores round the softmax to float32, where a last bit of float64 decides."""
    own = torch.softmax

    def softmax(value, dim, dtype=None):
        return own(value, dim, dtype=None if value.dtype == torch.float64 else dtype)

    monkeypatch.setattr(torch, "softmax", softmax)


@pytest.fixture
def unrounded(monkeypatch):
    """Transformers rounds RMS norms and its plain attention to float32, for the peer too."""
    own = torch.nn.functional.softmax

    def forward(norm, stream):
        mean = stream.pow(2).mean(-1, keepdim=True)
        return norm.weight * (stream * torch.rsqrt(mean + norm.variance_epsilon))

    def softmax(scores, dim=None, dtype=None):
        return own(scores, dim=dim, dtype=None if scores.dtype == torch.float64 else dtype)

    monkeypatch.setattr(LlamaRMSNorm, "forward", forward)
    monkeypatch.setattr(torch.nn.functional, "softmax", softmax)
