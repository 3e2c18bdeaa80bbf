"""Options refuse what no machine can do, before anything is made."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from interp_rc.facts.options import FactsFolder, People
from interp_rc.models.build import Size
from interp_rc.models.encoder_options import NewEncoder
from interp_rc.pipeline.config import MachineOptions
from interp_rc.training.embedded import EmbeddedModel, World
from interp_rc.training.options import Lora, TrainingOptions

HUGE = 10**30


@pytest.mark.parametrize(
    ("options", "key", "value"),
    [
        (Size, "layers", 10**9),
        (Size, "width", 10**9),
        (Size, "context", 10**12),
        (Size, "mlp", HUGE),
        (Size, "heads", 0),
        (EmbeddedModel, "vocabulary", 10**9),
        (EmbeddedModel, "epochs", 1e18),
        (EmbeddedModel, "learning_rate", float("inf")),
        (World, "both", HUGE),
        (World, "exposures", -1),
        (TrainingOptions, "learning_rate", float("nan")),
        (TrainingOptions, "learning_rate", float("inf")),
        (TrainingOptions, "weight_decay", float("nan")),
        (TrainingOptions, "betas", (float("nan"), 0.9)),
        (TrainingOptions, "batch_size", -1),
        (TrainingOptions, "batch_size", HUGE),
        (TrainingOptions, "epochs", 1e18),
        (TrainingOptions, "clip", float("inf")),
        (Lora, "alpha", float("inf")),
        (Lora, "rank", HUGE),
        (People, "per_group", HUGE),
        (MachineOptions, "threads", 10**6),
        (NewEncoder, "width", 10**7),
        (FactsFolder, "path", "a\0b"),
        (FactsFolder, "path", "~nobody-of-that-name/x"),
    ],
)
def test_what_cannot_be_is_refused(options, key, value):
    with pytest.raises(ValidationError):
        options(**{key: value})


def test_paths_are_made_whole(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert FactsFolder(path="x").path == tmp_path / "x"
    assert FactsFolder(path=Path("~/x")).path == tmp_path / "home" / "x"
