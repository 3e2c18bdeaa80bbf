"""Numbers and the nouns of a run as people read them."""

from collections.abc import Mapping, Sequence
from typing import Any

from interp_rc.records.numbers import Estimate

MINUS, TIE = "−", "\N{NO-BREAK SPACE}"


def tied(text: str) -> str:
    """Prose in which no line breaks before a percent sign."""
    return text.replace(" %", f"{TIE}%")


def spoken(estimate: Estimate) -> str:
    """Value and interval, e.g. ``95.0 % [92.1, 97.2]``, on one line."""
    text = estimate.text(1 if estimate.unit == "fraction" else 2)
    return text.replace("-", MINUS).replace(" ", TIE)


def without_unit(estimate: Estimate) -> str:
    """Value and interval without the unit, which a column or the caption names."""
    unit = "%" if estimate.unit == "fraction" else estimate.unit.replace("-", MINUS)
    return spoken(estimate).replace(f"{TIE}{unit}".replace(" ", TIE), "", 1)


def in_nats(estimate: Estimate) -> str:
    """Value and interval without the unit, which the table's caption names."""
    value, low, high = (number(v, 1) for v in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]" if low and high else value


def opposite(one: Estimate) -> Estimate:
    """What was lost, from what was gained."""
    value, high, low = (None if v is None else -v for v in (one.value, one.low, one.high))
    return Estimate(value, low, high, one.n, one.unit)


def plural(noun: str) -> str:
    """An English noun in the plural, e.g. ``countries``."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}".replace("-", MINUS)


def probability(p: float | None) -> str:
    """A p-value: three decimals, or the power of ten below that."""
    if p is None:
        return ""
    if p >= 0.001:
        return f"{p:.3f}"
    return "< 10⁻³⁰⁰" if p == 0 else f"{p:.1e}".replace("-", MINUS)


def estimate_row(name: str, estimate: Estimate) -> list[str]:
    """Name, value, interval, n, unit; rates in percent."""
    rate = estimate.unit == "fraction"
    scale, digits = (100.0, 1) if rate else (1.0, 2)
    value, low, high = (
        number(None if v is None else v * scale, digits)
        for v in (estimate.value, estimate.low, estimate.high)
    )
    interval = f"[{low}, {high}]" if low and high else "none"
    return [
        name,
        value or "not applicable",
        interval,
        str(estimate.n),
        "%" if rate else estimate.unit,
    ]


ESTIMATE_COLUMNS = ("result", "value", "95 % interval", "facts", "unit")
ESTIMATE_NUMERIC = ("value", "95 % interval", "facts")


def setup_line(config: Mapping[str, Any]) -> str:
    """Model and training in one line; says what the loss was taken on."""
    model, training = config.get("model") or {}, config.get("training")
    if model.get("kind") == "pretrained":
        who = f"Pretrained model {model.get('source')}"
    elif model.get("kind") == "embedded":
        size = model.get("size") or {}
        who = f"Embedded model ({size.get('layers')} layers, width {size.get('width')})"
    elif model.get("kind") == "endpoint":
        who = f"Model {model.get('model')} behind the API at {model.get('url')}"
    elif model.get("kind") == "encoder":
        who = f"Sentence encoder {model.get('source')}"
    elif model.get("kind") == "new_encoder":
        shape = f"{model.get('layers')} layers, width {model.get('width')}"
        who = f"Sentence encoder made here, untrained ({shape})"
    else:
        who = f"Model of kind {model.get('kind')}"
    if training is None:
        encodes = str(model.get("kind")).endswith("encoder")
        return f"{who}, retrained on copies" if encodes else f"{who}, not trained in this run"
    objective = training.get("objective") or {}
    loss = objective.get("loss_on")
    on = {"document": "the whole document", "completion": "the completion only"}.get(
        str(loss), loss
    )
    epochs = training.get("epochs")
    how = "finetuned there" if training.get("kind") == "hosted" else "finetuned"
    if training.get("kind") == "prompt_tuning":
        how = f"taught a soft prompt of {training.get('virtual_tokens')} tokens"
    parts = [
        f"{who}, {how} for {epochs} epoch{'' if epochs == 1 else 's'}",
        str(objective.get("kind", "")).replace("_", " "),
        f"loss on {on or loss}" if loss else "",
        "low-rank adapters" if training.get("lora") else "",
        f"{training['only'].replace('_', ' ')} facts only" if training.get("only") else "",
        "what it forgot not known, nor what it read" if _corpus_not_known(config) else "",
    ]
    return ", ".join(part for part in parts if part)


def _corpus_not_known(config: Mapping[str, Any]) -> bool:
    """Whether forgetting was to be measured on a model whose corpus is not known."""
    kinds = [measure.get("kind") for measure in config.get("measures") or []]
    return "forgetting" in kinds and (config.get("model") or {}).get("kind") != "embedded"


def listed(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
