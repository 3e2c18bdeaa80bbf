"""The page: made from tables alone, numbers as in them, nothing fetched, nothing run."""

import base64
import re
import shutil
import sys

import pytest

from analysis.old_names import read_table
from analysis.paper.__main__ import main
from analysis.paper.page import sections
from analysis.paper.parts import HEADINGS, Paper, shown
from analysis.paper.published import FOLDER
from analysis.paper.sweeps import EXPERIMENTS
from interp_rc.display.figures.rates import Rate
from interp_rc.display.figures.save import save_figure
from interp_rc.display.figures.style import DARK, LIGHT
from interp_rc.records.numbers import Estimate
from tests.analysis.paper.conftest import page_of

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}"


def test_every_item_says_whose_numbers_it_has_and_why_they_differ(paper):
    for part in (one for group in sections(paper).values() for one in group):
        assert len(part.note) > 40
        whose = part.tables[-1]
        assert [row[0] for row in whose.rows] == list(HEADINGS)
        assert all(row[1] for row in whose.rows), part.title


def test_what_was_not_run_is_named_with_its_command(bare, whole):
    for experiment in EXPERIMENTS:
        assert f"Not run yet: interp-rc run {experiment}" in bare.text
    assert "Not run yet" not in whole.text
    assert "interp-rc run descriptions" not in bare.text


def test_what_was_not_found_is_said(bare):
    assert bare.text.count("Not found: ") >= 6
    assert "no result of it" in bare.text


def test_published_curves_and_maps_are_drawn_beside_ours(whole):
    images = [attributes for tag, attributes in whole.tags if tag == "img"]
    assert len(images) >= 2 * 18
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in images)
    assert all(image["alt"] for image in images)


def test_a_picture_is_drawn_light_and_dark(paper, monkeypatch):
    monkeypatch.setattr("interp_rc.display.section.save_figure", save_figure)
    rates = [Rate("one", "same order", "same", Estimate(0.5, 0.4, 0.6, 3, "fraction"))]
    picture = paper.rates("x", rates, "title")
    for uri, theme in ((picture.light, LIGHT), (picture.dark, DARK)):
        drawn = base64.b64decode(uri.partition(",")[2]).decode()
        assert theme.same in drawn
        assert "same order" in drawn


def test_the_page_fetches_and_runs_nothing(whole):
    assert not [tag for tag, _ in whole.tags if tag in ("script", "link", "iframe", "object")]
    for tag, attributes in whole.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href"):
            if name in attributes:
                assert attributes[name].startswith(("data:", "#"))
    policy = [a["content"] for t, a in whole.tags if t == "meta" and "http-equiv" in a]
    assert policy[0].startswith("default-src 'none'")


def test_hostile_names_are_text(tables, unsaved, tmp_path):
    published, own = tmp_path / "published", tmp_path / "tables"
    shutil.copytree(FOLDER, published)
    table = read_table(published / "figure6.csv")
    table["model"] = table.model.replace("llama-7b", HOSTILE)
    table["source"] = table.source + HOSTILE
    table.to_csv(published / "figure6.csv", index=False)
    own.mkdir()
    trials = read_table(tables / "question_answer.csv")
    trials["facts.form"] = trials["facts.form"].replace("statement", HOSTILE)
    trials.to_csv(own / "question_answer.csv", index=False)
    unsaved.clear()
    page = page_of(Paper(tmp_path / "figures", own, published), tmp_path)
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert not [a for t, a in page.tags if t == "img" and not a["src"].startswith("data:")]
    assert HOSTILE in page.text
    assert "49" not in page.row(f"{HOSTILE}, same order")[0]


def test_numbers_read_as_they_should():
    assert shown(0.0033333, "fraction") == "0.3\u00a0%"
    assert shown(-11.116, "nat") == "−11.12\u00a0nat"


@pytest.mark.slow
def test_the_command_collects_and_writes_the_same(
    whole, sweeps, tables, tmp_path, monkeypatch, capsys
):
    for name in ("instructions", "scaling"):
        (tmp_path / "sweeps").mkdir(exist_ok=True)
        (tmp_path / "sweeps" / name).symlink_to(sweeps / name)
    (tmp_path / "own").mkdir()
    collecting = ["collect", "--sweeps", str(tmp_path / "sweeps")]
    monkeypatch.setattr(sys, "argv", ["paper", "--tables", str(tmp_path / "own"), *collecting])
    assert main() == 0
    assert "scaling, instructions in" in capsys.readouterr().out
    for file in ("scaling.csv", "scaling_verdicts.csv", "instructions_trace.csv"):
        assert (tmp_path / "own" / file).read_bytes() == (tables / file).read_bytes()
    common = ["paper", "--tables", str(tables), "--out", str(tmp_path / "p.html")]
    monkeypatch.setattr(sys, "argv", common)
    assert main() == 0
    assert (tmp_path / "p.html").read_text() == whole.html
    monkeypatch.setattr(sys, "argv", [*common, "collect", "--runs", str(tmp_path / "none")])
    assert main() == 1
    assert re.search(r"error: .*no finished run", capsys.readouterr().err)
