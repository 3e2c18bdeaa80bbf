"""A sweep of the smallest runs that there are."""

import textwrap

import pytest

TINY = """\
    name: tiny
    facts: {kind: people, per_group: 2, training_templates: 3, held_out_templates: 3}
    model:
      kind: embedded
      size: {layers: 1, width: 16, heads: 2}
      vocabulary: 400
      world: {both: 4, trained_forward: 2, trained_backward: 2, exposures: 4}
    training: {epochs: 1}
    measures: [{kind: behaviour, candidate_templates: 1}]
    sweep:
      grid:
        training.learning_rate: [1.0e-3, 1.0e-2]
        seed: [0, 1]
    smoke:
      sweep: {grid: {training.epochs: [1, 2]}}
    """


@pytest.fixture
def tiny(tmp_path):
    """Writes the experiment's file, with some text replaced, and gives its path."""
    path = tmp_path / "tiny.yaml"

    def write(*changes):
        text = textwrap.dedent(TINY)
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
        return path

    return write
