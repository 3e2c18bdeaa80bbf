"""A sweep that was killed goes on where it stopped, and ends with the same numbers."""

import copy
import dataclasses
import json

import pandas as pd
import pytest
import torch

from interp_rc.engine import run_patches
from interp_rc.engine.interventions import Fixed, Zero
from interp_rc.engine.sites import Site
from interp_rc.engine.store import digest_of
from interp_rc.facts.tracings import Tracing
from interp_rc.models.load import Loaded
from interp_rc.records.errors import ConfigError
from interp_rc.tools.patching.patching import patch
from interp_rc.tools.patching.tracing import trace
from tests.conftest import untaught

SITES = [Site("resid_post", 0, "source"), Site("z", 1, "prompt", head=1)]
SMALL = 1  # byte: every batch is one contrast


class Killed(Exception):
    pass


def test_killed_and_continued(taught, contrasts, tmp_path, monkeypatch):
    model, folder = taught["llama"], tmp_path / "so_far"
    whole = patch(model, contrasts, SITES, memory=SMALL)
    batches, real = [], run_patches._continued

    def at_most_three(*rest):
        if len(batches) == 3:
            raise Killed
        batches.append(rest)
        return real(*rest)

    monkeypatch.setattr(run_patches, "_continued", at_most_three)
    with pytest.raises(Killed):
        patch(model, contrasts, SITES, memory=SMALL, resume=folder)
    assert len(list(folder.glob("batch-*"))) == 3
    later = []

    def rest_of_them(both, batch, *rest):
        later.append(batch.numbers)
        return real(both, batch, *rest)

    monkeypatch.setattr(run_patches, "_continued", rest_of_them)
    again = patch(model, contrasts, SITES, memory=SMALL, resume=folder)
    assert len(later) == len(contrasts) - 3
    pd.testing.assert_frame_equal(again.table, whole.table, check_exact=True)
    pd.testing.assert_frame_equal(again.baselines, whole.baselines, check_exact=True)
    later.clear()
    patch(model, contrasts, SITES, memory=SMALL, resume=folder)
    assert not later  # all of it is there


def otherwise_read(model):
    """The same weights, which the configuration makes another model of."""
    other = copy.deepcopy(model.model)
    other.config.rms_norm_eps *= 10
    return Loaded(other, model.tokenizer)


def test_another_sweep_is_refused(taught, tokenizer, contrasts, tmp_path):
    model = taught["llama"]
    patch(model, contrasts[:2], SITES, resume=tmp_path / "s")
    for change in (
        {"sites": SITES[:1]},
        {"contrasts": contrasts[:3]},
        {"metric": "rank"},
        {"into": "clean"},
        {"intervention": Zero()},
        {"model": untaught(tokenizer, "llama")},
        {"model": otherwise_read(model)},
    ):
        given = {"model": model, "contrasts": contrasts[:2], "sites": SITES} | change
        with pytest.raises(ConfigError, match="holds another sweep's results"):
            patch(**given, resume=tmp_path / "s")


def test_a_trace_continues_too(taught, tmp_path):
    tracings = [
        Tracing("a", "a", "Who is Ada?", "Ada", " Ada is"),
        Tracing("b", "b", "Ada", "Ada", " is"),
    ]
    sites = [Site("resid_post", 0, "A")]
    given = {"draws": 2, "memory": SMALL, "resume": tmp_path / "s"}
    whole = trace(taught["gpt2"], tracings, sites, **given)
    next((tmp_path / "s").glob("batch-*")).unlink()
    again = trace(taught["gpt2"], tracings, sites, **given)
    pd.testing.assert_frame_equal(again.table, whole.table, check_exact=True)


def test_digests_tell_everything_apart(taught, contrasts):
    weights = torch.arange(10_000.0)
    changed = weights.clone()
    changed[1], changed[5000] = 2.0, 4999.0  # the same sum
    things = [
        contrasts[0],
        dataclasses.replace(contrasts[0], target=" x"),
        weights,
        changed[:9999],
        weights.double(),
        Fixed(weights),
        Fixed(weights, add=True),
        Zero(),
        taught["llama"],
        taught["gpt2"],
        [1, [2]],
        [[1], 2],
        json.dumps([1, 2]),
    ]
    assert len({digest_of(thing) for thing in things}) == len(things)
    assert digest_of(contrasts) == digest_of(list(contrasts))
