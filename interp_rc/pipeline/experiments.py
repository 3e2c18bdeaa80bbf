"""Finding experiments and facts by what a user types."""

from pathlib import Path
from typing import Any, Literal

from interp_rc.facts.factset import FactSet
from interp_rc.facts.folder import read_facts
from interp_rc.facts.published import import_published
from interp_rc.pipeline.config import RunConfig, validate
from interp_rc.pipeline.yaml_source import Source
from interp_rc.records.errors import ConfigError
from interp_rc.records.packaged import packaged


def find_experiment(experiment: str) -> Path:
    """The YAML file, or the packaged experiment of that name."""
    given = Path(experiment)
    if given.suffix in (".yaml", ".yml") or given.is_file():
        return given
    ours = packaged("experiments") / f"{experiment}.yaml"
    if ours.is_file():
        return ours
    known = ", ".join(sorted(p.stem for p in packaged("experiments").glob("*.yaml")))
    raise ConfigError(f"no experiment {experiment!r}; give a .yaml file or one of: {known}")


def evaluation_config(
    name: str, model: str, revision: str | None, facts: Path, batch_size: int
) -> RunConfig:
    """A run without training."""
    data: dict[str, Any] = {
        "name": name,
        "facts": {"kind": "folder", "path": str(facts)},
        "model": {"kind": "pretrained", "source": model, "revision": revision},
        "training": None,
        "measures": [{"kind": "behaviour", "batch_size": batch_size}],
    }
    return validate(data, Source(Path("--out" if name else "evaluate"), data))


def read_any_facts(folder: Path, seen: Literal["elsewhere", "nowhere"]) -> FactSet:
    """A facts folder, or one in the published layout (it has no header.yaml)."""
    ours = (folder / "header.yaml").is_file() or not any(folder.glob("*_prompts_*.jsonl"))
    return read_facts(folder) if ours else import_published(folder, seen=seen)
