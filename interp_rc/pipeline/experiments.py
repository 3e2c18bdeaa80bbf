"""Finding experiments and facts by what a user types."""

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from interp_rc.facts.factset import FactSet
from interp_rc.facts.folder import read_facts
from interp_rc.facts.published import import_published
from interp_rc.facts.published_instructions import import_instructions
from interp_rc.facts.published_symmetry import read_published_symmetry
from interp_rc.facts.published_symmetry_pairs import published_symmetry
from interp_rc.measures.registry import MEASURES, measure_class
from interp_rc.pipeline.config import RunConfig, validate
from interp_rc.pipeline.yaml_source import Source
from interp_rc.records.errors import ConfigError
from interp_rc.records.packaged import packaged
from interp_rc.records.reading import kind_of


def find_experiment(experiment: str) -> Path:
    """The YAML file, or the packaged experiment of that name."""
    given = Path(experiment)
    if given.suffix in (".yaml", ".yml") or kind_of(given) == stat.S_IFREG:
        return given
    for ours in experiments():
        if ours.stem == experiment:
            return ours
    known = ", ".join(sorted(path.stem for path in experiments()))
    raise ConfigError(f"no experiment {experiment!r:.200}; give a .yaml file or one of: {known}")


def experiments() -> list[Path]:
    """The packaged experiments (prereg*.yaml beside them are plans, not experiments)."""
    return [
        p for p in sorted(packaged("experiments").glob("*.yaml")) if not p.stem.startswith("prereg")
    ]


def evaluation_config(model: str, revision: str | None, facts: Path, batch_size: int) -> RunConfig:
    """A run without training."""
    data: dict[str, Any] = {
        "name": "evaluation",
        "facts": {"kind": "folder", "path": str(facts)},
        "model": {"kind": "pretrained", "source": model, "revision": revision},
        "training": None,
        "measures": [{"kind": "behaviour", "batch_size": batch_size}],
    }
    return validate(data, Source(Path("evaluate"), data))


def tools() -> list[str]:
    """The measures that look inside a language model, which `interp-rc mechanism` runs one of."""
    return [kind for kind in MEASURES if measure_class(kind).looks_inside]


def mechanism_config(
    tool: str,
    model: str,
    revision: str | None,
    facts: Path,
    base: str | None = None,
    sets: list[str] | None = None,
) -> RunConfig:
    """A run of one tool without training; `sets` change the tool's own keys.

    Raises ConfigError for a tool that there is not.
    """
    if tool not in tools():
        raise ConfigError(f"no tool {tool!r}; give one of: {', '.join(sorted(tools()))}")
    asked: list[Any] = [{"kind": tool}]
    if "answers" in measure_class(tool).needs:
        asked.insert(0, {"kind": "behaviour"})
    data: dict[str, Any] = {
        "name": tool,
        "facts": {"kind": "folder", "path": str(facts)},
        "model": {"kind": "pretrained", "source": model, "revision": revision},
        "base": None if base is None else {"kind": "pretrained", "source": base},
        "training": None,
        "measures": asked,
    }
    source = Source(Path("mechanism"), data)
    for assignment in sets or ():
        data = source.set_value(data, f"measures.{len(asked) - 1}.{assignment}")
    return validate(data, source)


def read_any_facts(folder: Path, seen: Literal["elsewhere", "nowhere"]) -> FactSet:
    """A facts folder, or what is in a published layout (which has no header.yaml)."""
    if folder.is_file():
        return import_any(folder, seen)
    published = any(folder.glob("*_prompts_*.jsonl")) or (folder / "guidances.jsonl").is_file()
    ours = (folder / "header.yaml").is_file() or not published
    return read_facts(folder) if ours else import_any(folder, seen)


def import_any(
    folder: Path,
    seen: Literal["elsewhere", "nowhere"],
    *,
    skip_faults: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> FactSet:
    """A folder in the published layout of Experiment 3, known by its guidances, or 1; or the
    published table of the symmetry data, of which `say` is told what was read and mended."""
    if folder.is_file():
        say(read_published_symmetry(folder, skip_faults=skip_faults).note())
        return published_symmetry(folder, skip_faults=skip_faults)
    if (folder / "guidances.jsonl").is_file():
        return import_instructions(folder)
    return import_published(folder, seen=seen)
