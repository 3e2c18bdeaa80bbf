"""The models that a finding is compared with: the base, and one that was never trained."""

from interp_rc.measures.base import MeasureContext
from interp_rc.models.build import build_model
from interp_rc.models.load import Loaded


def untrained_like(model: Loaded, seed: int) -> Loaded:
    """The same architecture with random weights."""
    built = build_model(model.model.config, seed)
    return Loaded(built.to(model.model.device).eval(), model.tokenizer)


def with_floors(context: MeasureContext[Loaded], seed: int) -> dict[str, Loaded]:
    """The model in question (`finetuned`), one `untrained`, and the `base` where there is one."""
    model, base = context.model, context.base
    models = {"finetuned": model, "untrained": untrained_like(model, seed)}
    return models if base is None else models | {"base": base}
