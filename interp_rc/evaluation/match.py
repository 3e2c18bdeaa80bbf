"""When a completion counts as right."""

# Berglund et al. (2023), released scoring of Experiment 1.
PREFIX = "prefix"


def prefix_match(text: str, target: str) -> bool:
    """The text begins with the target, white space around and letter case ignored."""
    return text.strip().lower().startswith(target.strip().lower())
