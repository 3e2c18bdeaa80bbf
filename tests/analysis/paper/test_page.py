"""The page: three columns from tables alone, numbers as in them, nothing fetched, nothing run."""

import base64
import re
import shutil
import sys
from html.parser import HTMLParser

import pandas as pd
import pytest

from analysis.descriptions import TABLES
from analysis.paper.__main__ import main
from analysis.paper.figures import Dot, dots
from analysis.paper.own import RATES
from analysis.paper.page import items, write_page
from analysis.paper.parts import HEADINGS, Paper, setting_text, shown, spread_text
from analysis.paper.published import FOLDER, as_published
from analysis.paper.sweeps import EXPERIMENTS, by_setting, spreads
from interp_rc.figures.save import save_figure
from interp_rc.figures.style import DARK, LIGHT, styled
from interp_rc.records.numbers import Estimate
from interp_rc.report.wording import spoken

MADE = set()
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}"


class Page(HTMLParser):
    """Tags with their attributes, the text, and the rows of every table."""

    def __init__(self, text):
        super().__init__()
        self.html, self.tags, self.text, self.rows, self._cell = text, [], "", [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell = ""

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.rows[-1].append(self._cell)
            self._cell = None

    def handle_data(self, data):
        self.text += data
        if self._cell is not None:
            self._cell += data

    def row(self, label):
        """The first row that begins so."""
        return next(row for row in self.rows if row and row[0] == label)


def page_of(paper, tmp_path):
    write_page(paper, tmp_path / "paper.html")
    return Page((tmp_path / "paper.html").read_text())


@pytest.fixture(scope="module", autouse=True)
def unsaved():
    """Figures are made once but not saved, which takes most of a page's time."""

    def only_made(draw, folder, name):
        if name not in MADE:
            with styled(LIGHT):
                assert draw(LIGHT).axes
            MADE.add(name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.svg").write_text("<svg/>")
        return [folder / f"{name}.svg"] * 3

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.paper.parts.save_figure", only_made)
        yield


@pytest.fixture(scope="module")
def whole(tables, tmp_path_factory):
    """Every sweep finished."""
    folder = tmp_path_factory.mktemp("page")
    return page_of(Paper(folder / "figures", tables), folder)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """Nothing was run here but the ten seeds."""
    folder = tmp_path_factory.mktemp("bare")
    shutil.copy(TABLES / "descriptions_by_seed.csv", folder)
    return page_of(Paper(folder / "figures", folder), folder)


def test_every_item_has_three_sides_and_says_why_they_differ(paper):
    for group in items(paper).values():
        for item in group:
            assert len(item.sides) == len(HEADINGS) == 3
            assert len(item.why) > 40
            for side in item.sides:
                assert side.pictures or side.missing or item.tables, (item.place, item.title)
                assert side.sources or side.missing, (item.place, item.title)


def test_what_was_not_run_is_named_with_its_command(bare, whole):
    for experiment in EXPERIMENTS:
        assert f"Not run yet: interp-rc run {experiment}" in bare.text
    assert "Not run yet" not in whole.text
    assert "interp-rc run descriptions" not in bare.text


def test_what_was_not_found_is_said(bare):
    assert bare.text.count("Not found: ") >= 6
    assert "no result of it" in bare.text


def test_table_1_shows_the_numbers_of_its_tables(whole):
    printed = as_published()
    printed = printed[printed["item"] == "table1"].set_index("quantity").value
    seeds = pd.read_csv(TABLES / "descriptions_by_seed.csv")
    rerun = pd.read_csv(TABLES / "published.csv")
    words = {"name_to_description": "name → description"}
    words["description_to_name"] = "description → name"
    for cell, label in words.items():
        for asked, how in (("same", "same order"), ("reverse", "in reverse")):
            name = f"exact_match.{cell}.{asked}"
            row = whole.row(f"{label}, {how}")
            mean, se = (100 * printed[f"{name}.{which}"] for which in ("mean", "standard_error"))
            assert row[1] == f"{mean:.1f}\u00a0% ± {se:.1f}\u00a0%"
            values = 100 * seeds[seeds["name"] == name].value
            assert row[3].startswith(f"{values.mean():.1f}\u00a0%\u00a0[")
            assert f"SD {values.std():.1f}\u00a0%, SE {values.std() / 10**0.5:.1f}\u00a0%" in row[3]
            for seen in ("nowhere", "elsewhere"):
                (there,) = rerun[(rerun.templates_seen == seen) & (rerun["name"] == name)].value
                assert f": {100 * there:.1f}\u00a0%\u00a0[" in row[2]


def test_facts_told_in_both_orders_stand_beside_the_run_on_published_data(whole):
    rerun = pd.read_csv(TABLES / "published.csv")
    row = whole.row("embedded model, asked name first")
    for seen in ("nowhere", "elsewhere"):
        rows = rerun[(rerun.templates_seen == seen) & (rerun["name"] == "exact_match.both.forward")]
        (there,) = rows.value
        assert f": {100 * there:.1f}\u00a0%\u00a0[" in row[2]
    found = as_published()
    found = found[(found.quantity == "exact_match.both") & (found.model == "davinci")].value
    assert f"{100 * found.mean():.1f}\u00a0%" in whole.row("davinci, both orders of asking")[1]


def row_of(page, caption, label):
    """The row of one table of a page that begins so."""
    table = page.html[page.html.index(f'<p class="caption">{caption}') :]
    return Page(table[: table.index("</table>")]).row(label)


def test_rates_of_sweeps_are_those_of_their_tables(whole, tables):
    for experiment in ("both_doses", "paraphrases", "one_document", "question_answer",
                       "forty_thousand", "scaling", "in_context"):  # fmt: skip
        trials, caption = pd.read_csv(tables / f"{experiment}.csv"), f"This run, {experiment}: "
        cells = by_setting(spreads(trials, *RATES))
        if experiment == "in_context":  # the first of its tables is of facts in the prompt
            caption += "3 seeds a setting, means with 95\u00a0% intervals: facts finetuned on"
        for cell in cells:
            row = row_of(whole, caption, setting_text(cell[next(iter(RATES))].setting))
            texts = [spread_text(cell[name]) for name in RATES]
            at = row.index(texts[0])
            assert row[at : at + 4] == texts
        seeds = trials.seed.nunique() if "seed" in trials else 1
        assert len(cells) * seeds == trials.trial.nunique()


def test_verdicts_are_counted_by_setting(whole, tables):
    for experiment in ("both_doses", "paraphrases", "scaling", "forty_thousand"):
        rows, verdicts = [], pd.read_csv(tables / f"{experiment}_verdicts.csv")
        trials = pd.read_csv(tables / f"{experiment}.csv")
        for cell in by_setting(spreads(trials, *RATES)):
            setting = next(iter(cell.values())).setting
            rows.append(row_of(whole, f"This run, {experiment}: ", setting_text(setting))[-1])
        counts = [int(n) for text in rows for n in re.findall(r"(\d+) of", text)]
        assert sum(counts) == len(verdicts)
        supported = sum(int(n) for text in rows for n in re.findall(r"supported (\d+)", text))
        assert supported == (verdicts.verdict == "supported").sum()


def test_maps_are_told_from_lowest_to_highest(whole, tables):
    ada, instructions = (r for r in whole.rows if r[:1] == ["lowest to highest, in reverse"]
                         and "settings" in r[3])  # fmt: skip
    assert ada[1] == "0.0\u00a0% to 0.3\u00a0%, 20 settings"
    assert ada[3].endswith("12 settings")
    assert instructions[1:3] == ["—", "—"]
    trials = pd.read_csv(tables / "instructions_sweep.csv")
    rates = 100 * trials[trials["name"] == "exact_match.answer_to_question.reverse"].value
    wanted = f"{rates.min():.1f}\u00a0% to {rates.max():.1f}\u00a0%, 9 settings"
    assert instructions[3] == wanted


def test_in_context_shows_both_rules_beside_each_other(whole, tables):
    row = whole.row("ada, description → name, three examples")
    assert row[1:3] == [
        "letters\u00a096.7\u00a0%",
        "letters\u00a096.7\u00a0%, prefix\u00a083.3\u00a0%",
    ]
    assert whole.row("ada, description → name, no example")[1] == "—"
    trials = pd.read_csv(tables / "in_context.csv")
    for documents in (0, 12000):
        part = trials[trials["model.world.in_context"] == documents].groupby("name").value.mean()
        for model in ("base", "finetuned"):
            for target, order in (("name", "backward"), ("description", "forward")):
                label = f"{documents} in-context documents, {model}, asked for the {target}"
                row = row_of(whole, "This run, in_context: 3 seeds a setting", label)
                names = [f"exact_match.shots.reverse.{order}.letters",
                         f"exact_match.shots.reverse.{order}.prefix",
                         f"exact_match.shots.same.{order}.prefix",
                         f"candidate_accuracy.shots.reverse.{order}.all",
                         f"candidate_accuracy.shots.reverse.{order}.stated"]  # fmt: skip
                wanted = [f"{100 * part[f'in_context.{model}.{name}']:.1f}" for name in names]
                assert [text.split("\u00a0")[0] for text in row[1:]] == wanted


def test_instructions_stand_beside_their_floors(whole, tables):
    trials = pd.read_csv(tables / "instructions.csv")
    means = 100 * trials.groupby("name").value.mean()
    for cell, told, asked in (
        ("question_to_answer.same", "told question first", "same order"),
        ("answer_to_question.reverse", "told answer first", "in reverse"),
    ):
        rate = f"{means[f'exact_match.{cell}']:.1f}\u00a0%"
        assert whole.row(f"embedded model, {asked}")[3].startswith(rate)
        row = row_of(whole, "This run, instructions", told)
        floors = [f"{means[f'related_answer_floor.{cell}.{kind}']:.1f}\u00a0%"
                  for kind in ("words", "states", "random")]  # fmt: skip
        assert [text.split("\u00a0[")[0] for text in row[1:]] == [rate, *floors]


def test_prompt_tuning_shows_what_the_end_of_training_gave(whole, tables):
    trials = pd.read_csv(tables / "prompt_tuning.csv")
    for subset, told in (("name_to_description", "told name first"),
                         ("description_to_name", "told description first")):  # fmt: skip
        part = trials[trials["training.only"] == subset].groupby("name").value.mean()
        for asked, said in (("same", "same order"), ("reverse", "in reverse")):
            row = whole.row(f"{told}, {said}")
            change = part[f"trace.loss_change.{subset}.{asked}.correct"]
            assert row[1].startswith(f"{change:.2f}\u00a0nat".replace("-", "−"))
            right = part[f"trace.accuracy.{subset}.{asked}.correct"]
            assert row[4].startswith(f"{100 * right:.1f}\u00a0%")


def test_published_curves_and_maps_are_drawn_beside_ours(whole):
    images = [attributes for tag, attributes in whole.tags if tag == "img"]
    assert len(images) >= 2 * 18
    assert all(image["src"].startswith("data:image/svg+xml;base64,") for image in images)
    assert all(image["alt"] for image in images)


def test_a_picture_is_drawn_light_and_dark(paper, monkeypatch):
    monkeypatch.setattr("analysis.paper.parts.save_figure", save_figure)
    rows = [Dot("told name first", {"same": Estimate(0.5, 0.4, 0.6, 3, "fraction")})]
    picture = paper.picture("x", lambda theme: dots({"": rows}, theme, quantity="q"), alt="half")
    for uri, theme in ((picture.light, LIGHT), (picture.dark, DARK)):
        drawn = base64.b64decode(uri.partition(",")[2]).decode()
        assert theme.same in drawn
        assert "told name first" in drawn


def test_the_page_fetches_and_runs_nothing(whole):
    assert not [tag for tag, _ in whole.tags if tag in ("script", "link", "iframe", "object")]
    for tag, attributes in whole.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href"):
            if name in attributes:
                assert attributes[name].startswith(("data:", "#"))
    policy = [a["content"] for t, a in whole.tags if t == "meta" and "http-equiv" in a]
    assert policy[0].startswith("default-src 'none'")
    links = [a["href"][1:] for t, a in whole.tags if t == "a"]
    assert sorted(links) == sorted(a["id"] for t, a in whole.tags if t == "section" and "id" in a)
    assert len(set(links)) == 16


def test_hostile_names_are_text(tables, tmp_path):
    published, own = tmp_path / "published", tmp_path / "tables"
    shutil.copytree(FOLDER, published)
    table = pd.read_csv(published / "figure6.csv")
    table["model"] = table.model.replace("llama-7b", HOSTILE)
    table["source"] = table.source + HOSTILE
    table.to_csv(published / "figure6.csv", index=False)
    own.mkdir()
    trials = pd.read_csv(tables / "question_answer.csv")
    trials["facts.form"] = trials["facts.form"].replace("statement", HOSTILE)
    trials.to_csv(own / "question_answer.csv", index=False)
    MADE.clear()
    page = page_of(Paper(tmp_path / "figures", own, published), tmp_path)
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert not [a for t, a in page.tags if t == "img" and not a["src"].startswith("data:")]
    assert HOSTILE in page.text
    assert "49" not in page.row(f"{HOSTILE}, same order")[0]


def test_numbers_read_as_they_should():
    assert shown(0.0033333, "fraction") == "0.3\u00a0%"
    assert shown(-11.116, "nat") == "−11.12\u00a0nat"
    assert shown(0.957846, "p") == "0.958"
    assert spoken(Estimate(0.5, None, None, 1, "fraction")) == "50.0\u00a0%"
    assert (
        setting_text({"training.learning_rate": 0.001, "shots": 3, "facts.both": 5})
        == "learning rate 0.001, shots 3, 5 told both ways"
    )


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
