"""The embedded base model: pretrained on a synthetic world, kept in the user's cache."""

import hashlib
import json
import logging
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import platformdirs
import torch
import transformers
from filelock import FileLock, Timeout
from transformers import AutoModelForCausalLM

from interp_rc.models.build import Size, build_model, model_config
from interp_rc.models.load import Loaded, load, save
from interp_rc.models.machine import Machine, counts_as_small
from interp_rc.models.tokenizer import train_tokenizer
from interp_rc.records.disk import room_in
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_json
from interp_rc.records.leftovers import sweep_temporary
from interp_rc.records.manifest import digest_of
from interp_rc.records.nouns import Document
from interp_rc.records.seeds import derive_seed
from interp_rc.records.strict_json import read_json
from interp_rc.training.options import TrainingOptions
from interp_rc.training.train import Report, discard_checkpoints, train

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
VERSION = 3  # raise it when a change to this code changes the weights


class Recipe(NamedTuple):
    """What is built, apart from the corpus that it is trained on."""

    size: Size
    vocabulary: int
    training: TrainingOptions


def cache_folder() -> Path:
    """INTERP_RC_CACHE, or the user's cache folder of this platform."""
    set_by_user = os.environ.get("INTERP_RC_CACHE")
    return Path(set_by_user or platformdirs.user_cache_dir("interp-rc")).expanduser()


def content_hash(recipe: Recipe, documents: Sequence[Document], machine: Machine, seed: int) -> str:
    """Everything that the weights depend on."""
    content = {
        "version": VERSION,
        "size": recipe.size.model_dump(mode="json"),
        "vocabulary": recipe.vocabulary,
        # Neither changes what is learnt from the documents, which are hashed themselves.
        "training": recipe.training.model_dump(mode="json", exclude={"only", "trace"}),
        "machine": asdict(machine) | {"threads": _threads_that_matter(recipe, machine)},
        "processor": platform.machine(),
        "seed": seed,
        "versions": [torch.__version__, transformers.__version__],
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for document in documents:
        digest.update(document.text.encode() + b"\0")
    return digest.hexdigest()[:24]


def _threads_that_matter(recipe: Recipe, machine: Machine) -> int:
    """Each batch of a small model is one thread's work, however many there are."""
    tokens = {"bos": 0, "eos": 0, "pad": 0}
    with torch.device("meta"):
        config = model_config(recipe.size, recipe.vocabulary, **tokens)
        model = AutoModelForCausalLM.from_config(config)
    return 1 if machine.device == "cpu" and counts_as_small(model) else machine.threads


def embedded_base(
    recipe: Recipe,
    documents: Sequence[Document],
    *,
    machine: Machine,
    seed: int,
    report: Report = lambda step, steps, loss: None,
    waiting: Callable[[], object] = lambda: None,
) -> tuple[Loaded, bool]:
    """The base model for this corpus, and whether it came from the cache.

    A damaged cache entry is rebuilt. Two processes that want the same model do not build it
    twice: the second waits (`waiting` is called once) and then reads what the first wrote. A
    build that was killed continues from its newest checkpoint.
    """
    key = content_hash(recipe, documents, machine, seed)
    entry = cache_folder() / "base" / key
    entry.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(entry.with_suffix(".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        lock.acquire()
    try:
        if is_whole(entry):
            return load(entry), True
        if entry.exists():
            log.warning("the cached base model %s is damaged and is built again", entry)
        with room_in(
            entry.parent,
            "the cache of base models",
            "continue with --resume (INTERP_RC_CACHE names another folder)",
        ):
            sweep_temporary(entry.parent)
            checkpoints = entry.with_suffix(".building")
            loaded = _pretrain(recipe, documents, machine, seed, checkpoints, report)
            save(loaded, entry)
            write_manifest(entry)
            discard_checkpoints(checkpoints)
        return load(entry), False
    finally:
        lock.release()


def _pretrain(
    recipe: Recipe,
    documents: Sequence[Document],
    machine: Machine,
    seed: int,
    checkpoints: Path,
    report: Report,
) -> Loaded:
    texts = [document.text for document in documents]
    tokenizer = train_tokenizer(texts, recipe.vocabulary, name="interp-rc-embedded")
    config = model_config(
        recipe.size,
        len(tokenizer),
        bos=tokenizer.bos_token_id,
        eos=tokenizer.eos_token_id,
        pad=tokenizer.pad_token_id,
    )
    loaded = Loaded(build_model(config, seed), tokenizer)
    train(
        loaded,
        documents,
        recipe.training,
        machine=machine,
        seed=derive_seed(seed, "pretrain"),
        checkpoints=checkpoints,
        report=report,
    )
    return loaded


def write_manifest(entry: Path) -> None:
    """Record the hash of every file of a model folder."""
    write_json(entry / MANIFEST, {p.name: digest_of(p) for p in sorted(entry.iterdir())})


def is_whole(entry: Path) -> bool:
    """Whether every file of the manifest is there, unchanged."""
    try:
        manifest = read_json(entry / MANIFEST)
        return bool(manifest) and all(
            digest_of(entry / name) == found for name, found in manifest.items()
        )
    except (DataError, OSError, AttributeError):
        return False
