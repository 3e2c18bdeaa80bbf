"""The models that a finding is compared with: the base, and one that was never trained."""

from interp_rc.models.build import build_model
from interp_rc.models.load import Loaded, load
from interp_rc.records.runs import Run


def base_of(run: Run, model: Loaded) -> Loaded | None:
    """The model before finetuning, on the same device; None in a run that has none."""
    return load(run.base, device=str(model.model.device)) if run.base.is_dir() else None


def untrained_like(model: Loaded, seed: int) -> Loaded:
    """The same architecture with random weights."""
    built = build_model(model.model.config, seed)
    return Loaded(built.to(model.model.device).eval(), model.tokenizer)


def with_floors(run: Run, model: Loaded, seed: int) -> dict[str, Loaded]:
    """The model in question (`finetuned`), one `untrained`, and the `base` where there is one."""
    base = base_of(run, model)
    models = {"finetuned": model, "untrained": untrained_like(model, seed)}
    return models if base is None else models | {"base": base}
