"""`interp-rc attribute` estimates what patching finds, and says how well."""

import pytest

from interp_rc.engine.effects import Effects
from interp_rc.engine.named_sites import named_sites
from interp_rc.facts.contrasts import held_out_contrasts, write_contrasts
from interp_rc.models.load import save
from interp_rc.pipeline.attribute import attribute_file
from interp_rc.pipeline.effect_options import AttributeOptions
from interp_rc.tools.attribution.attribution import attribute
from interp_rc.tools.attribution.rank_correlation import rank_correlation
from interp_rc.tools.patching.patching import patch

SITES = ["mlp_out@source.last", "z.h*@source.last", "resid_post@prompt.last"]


@pytest.fixture
def there(taught, told, tmp_path):
    save(taught["llama"], tmp_path / "model")
    contrasts = held_out_contrasts(told, templates=2)
    write_contrasts(contrasts, tmp_path / "contrasts.jsonl")
    return tmp_path, contrasts


def contrasts_in(folder):
    return {"model": str(folder / "model"), "pairs": folder / "contrasts.jsonl"}


def test_the_table_and_the_correlation_are_those_of_the_library(there, taught):
    folder, contrasts = there
    out = folder / "estimated.parquet"
    table, agreement = attribute_file(
        AttributeOptions(**contrasts_in(folder), site=SITES, out=out, checked=4, device="cpu")
    )
    sites = named_sites(taught["llama"], contrasts, SITES)
    own = attribute(taught["llama"], contrasts, sites)
    found = Effects.load(out)
    assert found.table.effect.to_numpy() == pytest.approx(own.table.effect.to_numpy(), abs=1e-4)
    assert len(table) > 0
    some = contrasts[:: -(-len(contrasts) // 4)]
    exact = patch(taught["llama"], some, sites)
    again = rank_correlation(attribute(taught["llama"], some, sites), exact)
    assert agreement.value == pytest.approx(again.value, abs=0.05)
    assert agreement.n == len({one.fact for one in some})
    assert 0.2 < agreement.value <= 1


def test_nothing_is_compared_if_nothing_is_checked(there):
    folder, _ = there
    given = contrasts_in(folder) | {"site": SITES[:1], "out": folder / "e.parquet"}
    _, agreement = attribute_file(AttributeOptions(**given, into="clean", checked=0, device="cpu"))
    assert agreement is None
    assert (folder / "e.parquet").exists()
