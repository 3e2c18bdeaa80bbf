"""A saved figure: three files, the same bytes every time, nobody's settings changed."""

from pathlib import Path
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure
from matplotlib.image import imread

from interp_rc.display.figures.rates import Rate, rates_figure
from interp_rc.display.figures.save import save_figure
from interp_rc.display.figures.style import DARK, LIGHT, Theme
from interp_rc.records.numbers import Estimate


def draw(theme: Theme) -> Figure:
    rate = Rate("told", "same order", "same", Estimate(0.5, 0.4, 0.6, 30, "fraction"))
    return rates_figure([rate], theme, quantity="exact match")


def test_light_and_dark_files_are_written_and_deterministic(tmp_path: Path) -> None:
    one, two = (save_figure(draw, tmp_path / name, "rates") for name in ("one", "two"))
    assert [file.name for file in one] == ["rates.svg", "rates.dark.svg", "rates.png"]
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == sorted(p.name for p in one)
    for first, second in zip(one, two, strict=True):
        assert first.read_bytes() == second.read_bytes()
    light, dark = (file.read_text() for file in one[:2])
    ElementTree.fromstring(light)
    assert LIGHT.same in light
    assert DARK.same in dark
    assert DARK.same not in light
    assert "dc:date" not in light


def test_png_is_white_and_svg_is_transparent(tmp_path: Path) -> None:
    light, _, png = save_figure(draw, tmp_path, "rates")
    image = imread(png)
    assert image[0, 0, :3].tolist() == [1, 1, 1]
    assert image.shape[1] == 880
    assert "fill: #ffffff" not in light.read_text()


def test_settings_of_the_caller_come_back(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    save_figure(draw, tmp_path, "rates")
    assert dict(matplotlib.rcParams) == before
