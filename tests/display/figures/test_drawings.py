"""Every axis says what it shows; markers stand where the numbers are."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from interp_rc.display.figures.change import Change, change_figure
from interp_rc.display.figures.parents import ModelRates, parents_figure
from interp_rc.display.figures.rates import Rate, rates_figure
from interp_rc.display.figures.save import svg
from interp_rc.display.figures.style import DARK, LIGHT, TEXT, WIDTH, Theme, styled
from interp_rc.display.rates import by_cell
from interp_rc.display.vocabulary import ASKED, Words
from interp_rc.measures.behaviour.likelihood_figure import likelihood_figure
from interp_rc.measures.behaviour.ranks_figure import ranks_figure
from interp_rc.measures.related_answer_floor.figure import Level, floors_figure
from interp_rc.records.estimates import Estimates
from interp_rc.records.nouns import TRAINED, Roles
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured

SAME = Estimate(0.95, 0.91, 0.98, 30, "fraction")
REVERSE = Estimate(0.01, 0.0, 0.04, 30, "fraction")
RATES = [
    Rate("told name first", "same order", "same", SAME, chance=1 / 30),
    Rate("told name first", "in reverse", "reverse", REVERSE, chance=1 / 30),
    Rate("told in both orders", "name first", "forward", SAME, chance=1 / 10),
]
LEVELS = [Level("the model", REVERSE, "reverse"), Level("any other question", SAME)]
MODELS = [
    ModelRates("one/model-that-is-known-by-a-very-long-name", SAME, REVERSE),
    ModelRates("another", None, REVERSE, "its pairs were chosen by what it said before; " * 2),
]


COUPLES = (("symmetric", "reverse"), ("inverse", "reverse"), ("antisymmetric", "false_reverse"))


def couples() -> pd.DataFrame:
    """Three groups, with the longest of words."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {"group": group, "asked": asked, "right": rng.normal(20), "others": rng.normal()}
        | {"rank": rng.integers(1, 41), "candidates": 40}
        for group, reverse in COUPLES
        for asked in ("same", reverse)
        for _ in range(12)
    )


def scores(groups: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"group": group, "asked": asked, "right": rng.normal(20), "others": rng.normal()}
        for group in TRAINED[:groups]
        for asked in ("same", "reverse")
        for _ in range(12)
    )


def found_ranks() -> pd.DataFrame:
    return pd.DataFrame(
        {"group": "trained_forward", "asked": asked, "rank": rank, "candidates": 8}
        for asked, ranks in (("same", [1, 1, 1, 2]), ("reverse", [1, 3, 5, 8]))
        for rank in ranks
    )


def figures(theme: Theme) -> list[Figure]:
    changes = [Change("told name first", "same order", "same", SAME, REVERSE)]
    return [
        rates_figure(RATES, theme, quantity="exact match"),
        likelihood_figure(scores(2), theme, Words(), quantity="log p"),
        likelihood_figure(scores(1), theme, Words(), quantity="log p"),
        likelihood_figure(
            couples(), theme, Words(Roles("subject", "object")), quantity="corrected log p"
        ),
        ranks_figure(found_ranks(), theme, Words()),
        ranks_figure(couples(), theme, Words(Roles("subject", "object"))),
        change_figure(changes, theme, quantity="exact match"),
        floors_figure(LEVELS, theme, quantity="right answers"),
        parents_figure(MODELS, theme),
        parents_figure(MODELS[:1], theme),
    ]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_every_axis_is_labelled_and_every_quantity_has_a_unit(theme: Theme) -> None:
    with styled(theme):
        for figure in figures(theme):
            assert figure.get_size_inches()[0] <= WIDTH
            for axes in figure.axes:
                assert re.search(r"\[.+\]", axes.get_xlabel())
                categories = axes.get_ylabel() in (
                    "order asked in",
                    "answer of",
                    "who is asked for",
                )
                assert categories or re.search(r"\[.+\]", axes.get_ylabel())
                assert axes.xaxis.label.get_size() >= 9


@pytest.mark.slow
@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_nothing_is_drawn_outside_the_figure(theme: Theme) -> None:
    with styled(theme):
        for figure in figures(theme):
            svg(figure)  # lays it out
            box = figure.get_tightbbox()
            width, height = figure.get_size_inches()
            assert box.x0 >= -0.02
            assert box.y0 >= -0.02
            assert box.x1 <= width + 0.02
            assert box.y1 <= height + 0.02


def test_rates_stand_where_the_numbers_are() -> None:
    with styled(LIGHT):
        axes = rates_figure(RATES, LIGHT, quantity="exact match").axes[0]
    lines = [line.get_xdata() for line in axes.get_lines()]
    assert [95.0] in [list(x) for x in lines]
    assert [91.0, 98.0] in [list(x) for x in lines]
    assert any(np.allclose(x, [100 / 30] * 2) for x in lines)
    assert any(np.allclose(x, [10, 10]) for x in lines)
    assert "95.0 %" in {text.get_text() for text in axes.texts}


def test_parents_and_children_stand_below_their_model_and_differ_in_more_than_colour() -> None:
    axes = parents_figure(MODELS, LIGHT).axes[0]
    points = [line for line in axes.get_lines() if len(line.get_xdata()) == 1]
    assert [line.get_xdata()[0] for line in points] == [95, 1, 1]
    assert [line.get_marker() for line in points] == ["o", "D", "D"]
    rows = [line.get_ydata()[0] for line in points]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["parent", "child"] * 2
    assert [axes.get_yticks()[i] for i in (0, 1, 3)] == rows
    assert len(axes.patches) == 3


def test_a_parent_rate_by_construction_is_said_and_not_drawn() -> None:
    axes = parents_figure(MODELS, LIGHT).axes[0]
    said = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert said["100 % by construction"] == axes.get_yticks()[2]
    assert (
        said["another"]
        < said["100 % by construction"]
        < said["its pairs were chosen by what it said"]
    )
    drawn = [text.get_text() for text in parents_figure(MODELS[:1], LIGHT).axes[0].texts]
    assert not any("construction" in text for text in drawn)


def test_floors_stand_below_the_model_where_the_numbers_are() -> None:
    figure = floors_figure(LEVELS, LIGHT, quantity="right answers")
    lines = figure.axes[0].get_lines()
    assert [list(line.get_xdata()) for line in lines] == [[0, 4], [1], [91, 98], [95]]
    assert [lines[1].get_color(), lines[3].get_color()] == [LIGHT.reverse, LIGHT.muted]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["the model", "any other question"]


def test_a_rate_without_value_or_interval_is_drawn_without() -> None:
    rates = [
        Rate("told name first", "same order", "same", Estimate(0.5, None, None, 1, "fraction")),
        Rate("told name first", "in reverse", "reverse", Estimate(None, None, None, 1, "fraction")),
    ]
    with styled(LIGHT):
        axes = rates_figure(rates, LIGHT, quantity="exact match").axes[0]
    assert len(axes.get_lines()) == 1


def test_rank_curves_are_the_cumulative_shares() -> None:
    with styled(LIGHT):
        axes = ranks_figure(found_ranks(), LIGHT, Words()).axes[0]
    curves = {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()}
    assert curves["same order"] == [75, 100, 100, 100, 100, 100, 100, 100]
    assert curves["in reverse"] == [25, 25, 50, 50, 75, 75, 75, 100]
    assert curves["chance"] == pytest.approx([12.5 * k for k in range(1, 9)])


def test_histograms_hold_every_fact() -> None:
    with styled(LIGHT):
        axes = likelihood_figure(scores(1), LIGHT, Words(), quantity="log p").axes[0]
    assert sum(patch.get_height() for patch in axes.patches[:-1]) == 12
    assert sum(axes.patches[-1].get_data().values) == 12


def test_scores_that_are_all_equal_can_be_drawn() -> None:
    table = scores(1).assign(right=-1.0, others=-1.0)
    with styled(LIGHT):
        svg(likelihood_figure(table, LIGHT, Words(), quantity="log p"))


def test_cells_are_told_in_the_order_of_the_figures() -> None:
    found, rate = Estimates(), Estimate(0.5, None, None, 2, "fraction")
    found.add(rate, quantity="said", group="both", order="forward")
    found.add(rate, quantity="said", group="trained_forward", direction="reverse")
    found.add(rate, quantity="said", group="trained_forward", direction="same")
    found.add(rate, quantity="other", group="trained_forward", direction="same")
    assert list(by_cell(Measured(found), quantity="said")) == [
        ("trained_forward", "same"),
        ("trained_forward", "reverse"),
        ("both", "forward"),
    ]
    assert {LIGHT.color(asked) for asked in ASKED} == {
        LIGHT.same,
        LIGHT.reverse,
        LIGHT.control,
    }


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_colours_contrast_with_the_page(theme: Theme) -> None:
    assert TEXT >= 9
    for color in (theme.ink, theme.muted):
        assert contrast(color, theme.paper) >= 4.5
    for color in (theme.same, theme.reverse, theme.control):
        assert contrast(color, theme.paper) >= 3


def contrast(one: str, other: str) -> float:
    """WCAG contrast ratio."""

    def luminance(color: str) -> float:
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)
