"""The sites that texts name in one model, for some contrasts."""

from collections.abc import Sequence

from interp_rc.mechanism.inputs import positions
from interp_rc.mechanism.sites import Site, means_every_position, parse_site
from interp_rc.models.load import Loaded
from interp_rc.records.nouns import Contrast


def named_sites(
    model: Loaded, contrasts: Sequence[Contrast], texts: str | Sequence[str]
) -> list[Site]:
    """Each site once, as `parse_site` reads it with the model's layers and heads.

    `mlp_out` or `mlp_out@*` means every position of the prompts, whose two must then have equally
    many tokens. Raises ConfigError for texts that name no site, DataError for such prompts.
    """
    texts = [texts] if isinstance(texts, str) else texts
    config = model.model.config
    every = any(map(means_every_position, texts))
    there = positions(model, contrasts) if every else None
    return list(
        dict.fromkeys(
            site
            for text in texts
            for site in parse_site(
                text,
                config.num_hidden_layers,
                heads=config.num_attention_heads,
                positions=there,
            )
        )
    )
