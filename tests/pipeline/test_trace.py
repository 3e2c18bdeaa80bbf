"""Tracing a file is `trace` on its lines; faulty lines are named, and nothing is written then."""

import json

import pandas as pd
import pytest

from interp_rc.engine.effects import COLUMNS, Effects
from interp_rc.engine.named_sites import named_sites
from interp_rc.facts.tracings import read_tracings
from interp_rc.models.load import save
from interp_rc.pipeline.effect_options import TraceOptions
from interp_rc.pipeline.trace import trace_file
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.tools.patching.tracing import trace, trace_sites


@pytest.fixture(scope="module")
def there(taught, told, tmp_path_factory):
    """A model, and a file of prompts that name a subject."""
    folder = tmp_path_factory.mktemp("trace")
    save(taught["gpt2"], folder / "model")
    rows = []
    for query in told.queries[:4]:
        start, end = query.source
        rows.append({"prompt": query.prompt, "subject": query.prompt[start:end],
                     "target": query.target, "start": start})  # fmt: skip
    (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def prompts_in(there):
    return {"model": str(there / "model"), "pairs": there / "prompts.jsonl"}


def test_what_is_saved_is_the_trace(there, taught, tmp_path):
    out = tmp_path / "t.parquet"
    sites = ["mlp_out.*x2@A.last", "resid_post.*@prompt.last"]
    given = {"draws": 3, "scale": 2.0, "metric": "log_prob", "seed": 5}
    shown = trace_file(
        TraceOptions(**prompts_in(there), out=out, site=sites, figure=tmp_path / "t.png", **given)
    )
    model, tracings = taught["gpt2"], read_tracings(there / "prompts.jsonl")
    named = named_sites(model, [one.contrast for one in tracings], sites)
    expected = trace(model, tracings, named, **given)
    found = Effects.load(out).table
    pd.testing.assert_frame_equal(found, expected.table, rtol=1e-4, atol=1e-5)
    assert set(COLUMNS) <= set(found.columns)
    assert found.effect.abs().max() > 0.01
    assert shown.site.tolist() == [site.name for site in named]
    assert (tmp_path / "t.png").stat().st_size > 1000


def test_without_sites_the_published_ones_with_the_window_asked_for(there, taught, tmp_path):
    out = tmp_path / "t.parquet"
    trace_file(TraceOptions(**prompts_in(there), out=out, draws=1, window=1))
    found = Effects.load(out).table
    tracings = read_tracings(there / "prompts.jsonl")
    longest = max(len(taught["gpt2"].tokenizer(one.prompt).input_ids) for one in tracings)
    assert set(found.site) == {"resid_post", "attn_out", "mlp_out"}
    assert found.position.max() == longest - 1
    assert "window" not in found
    windows = {(s.component, s.window) for s in trace_sites(taught["gpt2"], tracings)}
    assert windows == {("resid_post", 1), ("attn_out", 1), ("mlp_out", 1)}


def test_refused_before_anything_is_written(there, tmp_path):
    bad = tmp_path / "prompts.jsonl"
    first = (there / "prompts.jsonl").read_text().splitlines()[0]
    bad.write_text(first + '\n{"prompt": "Ann is", "subject": "Bob", "target": " so"}\n')
    good = prompts_in(there) | {"out": tmp_path / "t.parquet"}
    with pytest.raises(DataError, match=r"prompts\.jsonl:2: .*'Bob' is not in the prompt"):
        trace_file(TraceOptions(**good | {"pairs": bad}))
    with pytest.raises(ConfigError, match=r"--site and --window .* mlp_out\.\*x3@A\.last"):
        trace_file(TraceOptions(**good, site=["mlp_out.*@A.last"], window=3))
    with pytest.raises(ConfigError, match="no component 'mlp'"):
        trace_file(TraceOptions(**good, site=["mlp@A.last"]))
    assert list(tmp_path.iterdir()) == [bad]
