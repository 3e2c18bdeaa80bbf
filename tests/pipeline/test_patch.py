"""The command's options are the Python interventions; those that contradict are refused."""

import json
from dataclasses import asdict

import pandas as pd
import pytest

from interp_rc.engine import run_patches
from interp_rc.engine.effects import COLUMNS, Effects
from interp_rc.engine.interventions import FromModel, Mean, Noise, Zero
from interp_rc.engine.named_sites import named_sites
from interp_rc.facts.contrasts import held_out_contrasts, write_contrasts
from interp_rc.models.load import save
from interp_rc.pipeline.effect_options import PatchOptions
from interp_rc.pipeline.patch import patch_file
from interp_rc.records.errors import ConfigError, DataError
from interp_rc.tools.patching.patching import patch
from tests.conftest import untaught

SITES = ["mlp_out.0@source.last", "resid_post.*@prompt.last", "z.1.h*@source.last"]


@pytest.fixture(scope="module")
def contrasts(told):
    return held_out_contrasts(told, templates=1)


@pytest.fixture(scope="module")
def there(taught, tokenizer, contrasts, tmp_path_factory):
    """Two models of one shape, and a file of contrasts."""
    folder = tmp_path_factory.mktemp("patch")
    save(taught["llama"], folder / "model")
    save(untaught(tokenizer, "llama"), folder / "other")
    write_contrasts(contrasts, folder / "pairs.jsonl")
    return folder


def contrasts_in(there):
    return {"model": str(there / "model"), "pairs": there / "pairs.jsonl", "site": SITES}


@pytest.mark.parametrize(
    ("options", "python"),
    [
        ({}, {}),
        ({"intervention": "prompt", "metric": "kl", "into": "clean"},
         {"metric": "kl", "into": "clean"}),
        ({"intervention": "zero", "metric": "logit_difference"},
         {"intervention": Zero(), "metric": "logit_difference"}),
        ({"intervention": "mean"}, {"intervention": Mean()}),
        ({"intervention": "noise", "scale": 0.5, "seed": 3}, {"intervention": Noise(0.5, 3)}),
        ({"from_model": "other"}, {"intervention": "other"}),
        ({"floor": True, "memory": 0.01}, {"floor": True}),
    ],
)  # fmt: skip
def test_options_are_the_interventions(there, taught, tokenizer, contrasts, tmp_path, options,
                                       python):  # fmt: skip
    options, python = dict(options), dict(python)
    if "from_model" in options:
        options["from_model"] = str(there / "other")
        python["intervention"] = FromModel(untaught(tokenizer, "llama"))
    out = tmp_path / "e.parquet"
    shown = patch_file(PatchOptions(**contrasts_in(there), out=out, **options))
    model = taught["llama"]
    sites = named_sites(model, contrasts, SITES)
    expected = patch(model, contrasts, sites, **python)
    saved = Effects.load(out)
    pd.testing.assert_frame_equal(saved.table, expected.table, rtol=1e-4, atol=1e-5)
    assert set(COLUMNS) <= set(saved.table.columns)
    assert (saved.floor is None) == (expected.floor is None)
    assert len(shown) == len(sites) * 2  # orders
    assert saved.table.effect.abs().max() > 0.1


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_the_map_is_drawn_too(there, tmp_path, ending):
    figure = tmp_path / f"map.{ending}"
    patch_file(PatchOptions(**contrasts_in(there), out=tmp_path / "e.parquet", figure=figure))
    begins = {"svg": b"<?xml", "png": b"\x89PNG"}[ending]
    assert figure.read_bytes().startswith(begins)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"intervention": "zero", "from_model": "m"},
         "--intervention zero and --from-model contradict each other"),
        ({"from_model": "m", "without_adapters": True},
         "--from-model and --without-adapters contradict"),
        ({"intervention": "prompt", "without_adapters": True}, "--intervention prompt and"),
        ({"scale": 1.0}, "--scale is of noise; add --intervention noise"),
        ({"intervention": "mean", "seed": 1}, "--seed is of noise"),
        ({"intervention": "noise"}, "noise needs its standard deviation; add --scale"),
        ({"figure": "map.pdf"}, "map.pdf is neither .svg nor .png"),
        ({"figure": "."}, "is a folder; give the path of a file"),
    ],
)  # fmt: skip
def test_contradictions_are_refused_before_anything_is_read(tmp_path, options, message):
    options = dict(options)
    if "figure" in options:
        options["figure"] = tmp_path / options["figure"]
    nowhere = tmp_path / "nowhere"
    with pytest.raises(ConfigError, match=message):
        given = {"model": str(nowhere), "pairs": nowhere, "site": SITES}
        patch_file(PatchOptions(**given, out=tmp_path / "e.parquet", **options))
    assert list(tmp_path.iterdir()) == []


def test_a_bad_line_is_named_and_nothing_is_written(there, tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    good = (there / "pairs.jsonl").read_text().splitlines()[:2]
    pairs.write_text("\n".join([*good, '{"clean": "a"}']))
    with pytest.raises(DataError, match=r"pairs\.jsonl:3: key 'corrupted' is missing"):
        given = contrasts_in(there) | {"pairs": pairs, "out": tmp_path / "e.parquet"}
        patch_file(PatchOptions(**given, figure=tmp_path / "e.svg"))
    assert list(tmp_path.iterdir()) == [pairs]


def test_interrupted_and_resumed(there, tmp_path, monkeypatch):
    out, given = tmp_path / "e.parquet", contrasts_in(there)
    patch_file(PatchOptions(**given, out=tmp_path / "whole.parquet", memory=1e-9))
    real, batches = run_patches._continued, []

    def two(*rest):
        if len(batches) == 2:
            raise KeyboardInterrupt
        batches.append(rest)
        return real(*rest)

    monkeypatch.setattr(run_patches, "_continued", two)
    with pytest.raises(KeyboardInterrupt):
        patch_file(PatchOptions(**given, out=out, memory=1e-9))
    assert not out.exists()
    assert len(list((tmp_path / "e.parquet.so_far").glob("batch-*"))) == 2
    with pytest.raises(ConfigError, match="add --resume to continue it"):
        patch_file(PatchOptions(**given, out=out, memory=1e-9))
    monkeypatch.setattr(run_patches, "_continued", real)
    patch_file(PatchOptions(**given, out=out, memory=1e-9, resume=True))
    assert not (tmp_path / "e.parquet.so_far").exists()
    whole = Effects.load(tmp_path / "whole.parquet").table
    pd.testing.assert_frame_equal(Effects.load(out).table, whole, check_exact=True)


def rows(contrasts, **changed):
    """Three lines; the last one changed."""
    some = [asdict(one) for one in contrasts[:3]]
    return "\n".join(
        json.dumps({k: v for k, v in row.items() if k != "line"} | (changed if n == 2 else {}))
        for n, row in enumerate(some)
    )


def test_what_fails_on_its_input_leaves_nothing_and_blocks_nothing(there, contrasts, tmp_path):
    pairs, out = tmp_path / "pairs.jsonl", tmp_path / "e.parquet"
    given = {"model": str(there / "model"), "pairs": pairs, "site": SITES[:1], "out": out}
    pairs.write_text(rows(contrasts, spans={}))
    for resume in (False, True):
        with pytest.raises(DataError, match=r"\(line 3\) has no span 'source'"):
            patch_file(PatchOptions(**given, memory=1e-9, resume=resume))
        assert list(tmp_path.iterdir()) == [pairs]
    pairs.write_text(rows(contrasts))
    patch_file(PatchOptions(**given, memory=1e-9))
    assert sorted(tmp_path.iterdir()) == [out, pairs]


@pytest.mark.parametrize("resume", [False, True])
def test_what_another_command_left_is_replaced_with_a_word(
    there, contrasts, tmp_path, monkeypatch, resume
):
    pairs, out = tmp_path / "pairs.jsonl", tmp_path / "e.parquet"
    given = {"model": str(there / "model"), "pairs": pairs, "site": SITES[:1], "out": out}
    pairs.write_text(rows(contrasts))
    interrupted_after_one(monkeypatch, given)
    pairs.write_text(rows(contrasts, id="corrected"))
    with pytest.warns(UserWarning, match="what another command has found; it is replaced"):
        patch_file(PatchOptions(**given, memory=1e-9, resume=resume))
    assert sorted(tmp_path.iterdir()) == [out, pairs]
    assert len(Effects.load(out).table) == 3


def test_other_weights_under_the_same_name_do_not_refuse_to_resume(
    there, taught, tokenizer, contrasts, tmp_path, monkeypatch
):
    pairs, out = tmp_path / "pairs.jsonl", tmp_path / "e.parquet"
    save(taught["llama"], tmp_path / "model")
    given = {"model": str(tmp_path / "model"), "pairs": pairs, "site": SITES[:1], "out": out}
    pairs.write_text(rows(contrasts))
    interrupted_after_one(monkeypatch, given)
    save(untaught(tokenizer, "llama"), tmp_path / "model")
    with pytest.warns(UserWarning, match="with other weights has found; it is replaced"):
        patch_file(PatchOptions(**given, memory=1e-9, resume=True))
    found = Effects.load(out).table
    expected = patch(
        untaught(tokenizer, "llama"), contrasts[:3],
        named_sites(taught["llama"], contrasts, given["site"]),
    )  # fmt: skip
    assert found.value.to_numpy() == pytest.approx(expected.table.value.to_numpy(), rel=1e-4)
    assert not (tmp_path / "e.parquet.so_far").exists()


def interrupted_after_one(monkeypatch, given):
    real, batches = run_patches._continued, []

    def one(*rest):
        if batches:
            raise KeyboardInterrupt
        batches.append(rest)
        return real(*rest)

    monkeypatch.setattr(run_patches, "_continued", one)
    with pytest.raises(KeyboardInterrupt):
        patch_file(PatchOptions(**given, memory=1e-9))
    monkeypatch.setattr(run_patches, "_continued", real)
    out = given["out"]
    folder = out.with_name(f"{out.name}.so_far")
    assert len(list(folder.glob("batch-*"))) == 1
