"""The published numbers: each with a source, and agreeing with each other where they overlap."""

import numpy as np
import pytest
from scipy import stats

from analysis.old_names import read_table
from analysis.paper.experiment1 import ks_p
from analysis.paper.published import COLUMNS, FOLDER, as_published, not_found
from interp_rc.records.errors import DataError

TABLE = as_published()


def item(name):
    return TABLE[TABLE["item"] == name]


def test_every_number_names_a_file_at_a_commit():
    source = r"(\S+\.(csv|ipynb) @ [0-9a-f]{7}(,|$)|arXiv:2309\.12288v\d, abstract$)"
    assert TABLE.source.str.match(source).all()
    rates = TABLE[TABLE.unit == "fraction"].value
    assert rates.between(0, 1).all()
    assert set(TABLE.unit) == {"fraction", "nat", "statistic", "p", "parameters"}


def test_what_has_no_source_has_no_number():
    lost = not_found()
    assert not set(lost["item"]) & set(TABLE["item"])
    assert lost.notna().all().all()


def test_table_1_is_of_the_davinci_runs_and_its_spread_is_a_standard_error():
    printed = item("table1").set_index("quantity").value
    runs = item("scaling")
    for cell in ("trained_forward", "trained_backward"):
        for asked in ("same", "reverse"):
            name = f"exact_match.{cell}.{asked}"
            by_model = {m: part[part.quantity == name].value for m, part in runs.groupby("model")}
            three = by_model["davinci"]
            assert len(three) == 3
            assert printed[f"{name}.mean"] == pytest.approx(three.mean(), abs=5.1e-4)
            assert printed[f"{name}.standard_error"] == pytest.approx(stats.sem(three), abs=5.1e-4)
    name = "exact_match.trained_forward.same"
    others = [v for m, v in by_model.items() if m != "davinci"]
    assert len(others) == 3
    same = runs[runs.quantity == name].groupby("model").value.mean()
    assert (same.drop("davinci") - printed[f"{name}.mean"]).abs().min() > 0.02
    assert np.std(runs[(runs.quantity == name) & (runs.model == "davinci")].value, ddof=1) > 0.036


def test_published_p_values_follow_from_the_published_statistics():
    wide = item("table3").pivot(index="seed", columns="quantity", values="value")
    base = "log_prob.trained_forward.reverse"
    assert len(wide) == 12
    np.testing.assert_allclose(
        2 * stats.t.sf(wide[f"{base}.paired_t"].abs(), 29), wide[f"{base}.paired_t.p"], atol=2e-6
    )
    np.testing.assert_allclose(
        [ks_p(d) for d in wide[f"{base}.ks"]], wide[f"{base}.ks.p"], atol=2e-6
    )
    difference = wide[f"{base}.correct"] - wide[f"{base}.random"]
    assert (np.sign(difference) == np.sign(wide[f"{base}.paired_t"])).all()


def test_means_of_both_published_tables_of_log_probabilities_agree():
    name = "log_prob.trained_forward.reverse.correct"
    one, two = (
        part[part.quantity == name].set_index("seed").value
        for part in (item("scaling"), item("table3"))
    )
    assert sorted(one.index) == sorted(two.index)
    np.testing.assert_allclose(one, two[one.index], atol=1e-4)


def test_the_sweeps_are_whole():
    figure7, figure8 = item("figure7"), item("figure8")
    assert figure7.groupby(["learning_rate", "batch_size"]).size().eq(4).all()
    assert len(figure7) == 4 * 5 * 4
    assert figure8.seed.is_unique
    assert len(figure8) == 49
    np.testing.assert_allclose(figure8.value * 300, (figure8.value * 300).round(), atol=1e-3)
    assert item("figure11").step.is_monotonic_increasing


def test_answers_scored_again_have_as_many_wrong_as_their_notes_name():
    """In context: the letters rule gives the published rate, the prefix rule never more."""
    again, printed = item("in_context_again"), item("in_context")
    for row in again.itertuples():
        wrong = row.note.removeprefix("wrong: ").removeprefix("rows ").split()
        wrong = [] if wrong == ["none"] else [int(number) for number in wrong]
        assert len(set(wrong)) == len(wrong)
        assert set(wrong) <= set(range(30))
        assert row.value == pytest.approx((30 - len(wrong)) / 30, abs=1e-5)
    rates = again.set_index(["model", "quantity"]).value
    for row in printed.itertuples():
        assert rates[row.model, row.quantity] == pytest.approx(row.value, abs=1e-5)
        assert rates[row.model, row.quantity.replace("letters", "prefix")] <= row.value


def test_a_number_without_a_source_is_refused(tmp_path):
    table = read_table(FOLDER / "figure6.csv").head(2)
    table.loc[1, "source"] = None
    table.to_csv(tmp_path / "figure6.csv", index=False)
    with pytest.raises(DataError, match=r"figure6.csv:3: .*source"):
        as_published(tmp_path)
    table[COLUMNS[:-1]].to_csv(tmp_path / "figure6.csv", index=False)
    with pytest.raises(DataError, match="columns are"):
        as_published(tmp_path)
    (tmp_path / "figure6.csv").unlink()
    with pytest.raises(DataError, match="no table"):
        as_published(tmp_path)
