"""Texts name sites of a model, at positions of the contrasts where they ask for every one."""

import json

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from interp_rc.engine.named_sites import named_sites
from interp_rc.engine.sites import Site
from interp_rc.facts.triples import contrasts_of, read_triples
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.records.nouns import Contrast
from interp_rc.tools.patching.patching import patch

EVEN = Contrast("e", "f", None, "Ann is", "Bob is", " so")


def test_every_layer_head_and_position(taught):
    model = taught["llama"]
    tokens = len(model.tokenizer("Ann is").input_ids)
    longer = Contrast("l", "f", None, "Ann is is", "Bob is is", " so")
    more = len(model.tokenizer("Ann is is").input_ids)
    assert more > tokens
    found = named_sites(model, [EVEN, longer], ["mlp_out.*@*"])
    assert found == [Site("mlp_out", i, position=p) for i in range(2) for p in range(more)]
    assert named_sites(model, [EVEN, longer], ["mlp_out", "mlp_out.1@0"]) == found
    heads = model.model.config.num_attention_heads
    assert named_sites(model, [], ["z.0.h*@A"]) == [Site("z", 0, "A", head=h) for h in range(heads)]


def test_positions_are_counted_only_where_they_are_asked_for(taught):
    uneven = Contrast("u", "f", None, "Ann is", "Bob is is", " so", line=3)
    assert len(named_sites(taught["llama"], [uneven], ["mlp_out@prompt.last"])) == 2
    with pytest.raises(DataError, match=r"'u' \(line 3\): the clean prompt has"):
        named_sites(taught["llama"], [uneven], ["mlp_out@prompt.last", "mlp_out"])
    with pytest.raises(ConfigError, match="is not a site"):
        named_sites(taught["llama"], [EVEN], ["@"])


def test_from_a_file_of_facts_to_a_map(taught, told, tmp_path):
    rows = [{"subject": f.subject, "relation": "is", "object": f.object} for f in told.facts]
    (tmp_path / "facts.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    contrasts = contrasts_of(read_triples(tmp_path / "facts.jsonl"))
    sites = named_sites(taught["gpt2"], contrasts, ["mlp_out@A.last", "resid_post@prompt.last"])
    effects = patch(taught["gpt2"], contrasts, sites)
    estimates = effects.estimates()
    assert set(estimates.n) == {len(rows)}
    assert estimates["mean"].abs().max() > 0.01
    FigureCanvasAgg(effects.plot()).draw()
