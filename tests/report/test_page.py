"""The page of a run: right numbers, honest words, nothing fetched, nothing run."""

import base64
import html
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from interp_rc.facts.factset import FactSet
from interp_rc.measures.base import ANSWERS
from interp_rc.records.estimates import Estimates
from interp_rc.records.files import write_text
from interp_rc.records.nouns import Query
from interp_rc.records.numbers import Estimate
from interp_rc.records.runs import Measured, Run
from interp_rc.report.headline import answer, meaning
from interp_rc.report.page import write_report
from interp_rc.stats.rates import rate_limits

Make = Callable[..., Run]
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7*7 }}"


class Page(HTMLParser):
    """All tags with their attributes, and the text outside of styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text, self._style = "", False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self.text += " "
        self._style = False

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def plain(self) -> str:
        return re.sub(r"\s+", " ", self.text)


def page_of(run: Run) -> Page:
    write_report(run)
    return Page(run.report_file.read_text())


def spoken(rates: list[float]) -> str:
    """Percent with the interval of rates of facts."""
    value, low, high = (100 * v for v in (np.mean(rates), *rate_limits(np.array(rates))))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def test_the_opening_sentence_gives_the_numbers_of_the_answers(make: Make) -> None:
    run = make(lambda query: query.direction == "same" and ".0/" not in query.id)
    told: dict[str, list[bool]] = {}
    for row in run.table(ANSWERS).itertuples():
        if row.model == "finetuned" and row.direction == "same":
            told.setdefault(row.fact, []).append(row.match)
    rates = [sum(matches) / len(matches) for matches in told.values()]
    assert 0 < np.mean(rates) < 1
    sentence = answer(run, run.all_measured(), []).sentence.replace("\N{NO-BREAK SPACE}", " ")
    reverse = stats.binomtest(0, 8).proportion_ci(method="exact").high
    assert sentence == (
        f"Asked in the order it was trained in, the model is right in {spoken(rates)} of cases; "
        f"asked in reverse, in 0.0 % [0.0, {100 * reverse:.1f}]."
    )


@pytest.mark.slow
def test_a_whole_page_with_hostile_words_is_inert_and_self_contained(make: Make) -> None:
    def hostile(table: pd.DataFrame) -> pd.DataFrame:
        if "prompt" not in table:
            return table
        words = {c: table[c] + HOSTILE for c in ("prompt", "target", "text")}
        return table.assign(**words)

    run = make(name=HOSTILE, edit=hostile, model={"kind": "pretrained", "source": HOSTILE})
    page = page_of(run)
    text = run.report_file.read_text()
    assert not page.all("script")
    assert not [tag for tag, a in page.tags for key in a if key.startswith("on")]
    assert page.text.count(HOSTILE) > 20  # shown as they are, in prompts, answers, name and YAML
    images = page.all("img")
    assert [image["class"] for image in images] == ["light", "dark"] * 6
    for image in images:
        kind, content = str(image["src"]).split(",")
        assert kind == "data:image/svg+xml;base64"
        svg = base64.b64decode(content).decode()
        assert "<script" not in svg
        assert not re.search(r"href=\"(?!#)", svg)
    assert all(image["alt"] for image in images)
    assert not {"link", "iframe", "object", "embed", "form", "base", "a"} & {
        t for t, _ in page.tags
    }
    assert not re.search(r"(src|href|srcset|action)\s*=\s*[\"']?\s*(https?:)?//", text)
    assert "@import" not in text
    assert "url(" not in text
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")


def test_a_page_is_the_same_every_time_and_never_reads_results(make: Make) -> None:
    run = make(measures=["forgetting"])
    write_text(run.results_file, "not JSON")
    write_report(run)
    first = run.report_file.read_bytes()
    write_report(run)
    assert run.report_file.read_bytes() == first
    assert str(run.folder).encode() not in first


@pytest.mark.slow
def test_a_finished_page_has_all_of_its_parts(make: Make) -> None:
    page = page_of(make())
    for part in (
        "Reverse at chance: supported. Reason below the margin Control 18.22 nat",
        "loss on the whole document",
        "Corrected:",
        "The curse in pretraining",
        "was told in, the base model is right",
        "Where the templates of this run’s queries were seen",
        "in the base corpus only, about other people",
        "Exploratory: the margin",
        "0.006",
        "exact_match.trained_forward.same",
        "loss_on: document",
        "packages.torch not known",
        "interp-rc run 'a run/config.yaml' --out 'a run-again'",
        "interp-rc report 'a run'",
    ):
        assert part in page.plain, part


def test_facts_that_were_not_learnt_are_called_so(make: Make) -> None:
    run = make(lambda query: False)
    found = answer(run, run.all_measured(), [])
    assert "0.0\N{NO-BREAK SPACE}%" in found.sentence
    assert "not learnt" in found.meaning


@pytest.mark.parametrize(
    ("same", "reverse", "words"),
    [
        ((0.96, 0.94, 0.98), (0.0, 0.0, 0.05), "it never says in the other"),
        ((0.96, 0.94, 0.98), (0.01, 0.0, 0.03), "it almost never says in the other"),
        ((0.96, 0.94, 0.98), (0.40, 0.3, 0.50), "says less often in the other"),
        ((0.96, 0.94, 0.98), (0.95, 0.93, 0.97), "shows no reversal curse"),
        ((0.30, 0.10, 0.50), (0.20, 0.05, 0.35), "does not tell the two directions apart."),
        ((0.05, 0.04, 0.06), (0.0, 0.0, 0.01), "were not learnt"),
        ((0.96, None, None), (0.0, None, None), "Too few facts"),
        ((None, None, None), (0.0, None, None), "could not be computed"),
    ],
)
def test_the_meaning_never_goes_beyond_the_intervals(
    same: tuple[float | None, ...], reverse: tuple[float | None, ...], words: str
) -> None:
    assert words in meaning(Estimate(*same, 30, "fraction"), Estimate(*reverse, 30, "fraction"))


@pytest.mark.slow
def test_a_run_without_training_says_so(make: Make) -> None:
    run = make(trained=False, measures=["behaviour"], model={"kind": "pretrained", "source": "m"})
    page = page_of(run)
    assert "Nothing was trained in this run" in page.plain
    assert "Pretrained model m, not trained in this run" in page.plain
    assert "Not corrected for how likely each candidate is by itself" in page.plain
    assert "what its corpus held is unknown" in page.plain
    assert "difference, corrected" not in page.plain


def test_without_measures_the_page_still_stands(make: Make) -> None:
    page = page_of(make(measures=[]))
    assert "without asking how often it is right" in page.plain
    assert "0 estimates" in page.plain
    assert not page.all("img")


@pytest.mark.slow
@pytest.mark.parametrize("group", ["trained_forward", "trained_backward", "both"])
def test_a_single_group_is_enough(make: Make, group: str) -> None:
    run = make(groups=[group], measures=["behaviour"])
    page = page_of(run)
    if group == "both":
        assert "No fact of this run was told in one order only; facts told in both" in page.plain
    else:
        assert "Asked in the order it was trained in" in page.plain


def test_one_direction_alone_is_not_compared(make: Make, facts: FactSet) -> None:
    asked = [query for query in facts.queries if query.direction != "reverse"]
    run = make(about=replace(facts, queries=asked), measures=["behaviour"])
    found = answer(run, run.all_measured(), [])
    assert "the other direction was not asked" in found.sentence
    assert "cannot compare" in found.meaning


def test_an_unknown_measure_gets_its_estimates_and_its_figures(make: Make) -> None:
    run = make(measures=["new_tool"])
    write_text(run.figures / "map.svg", '<svg xmlns="http://www.w3.org/2000/svg"/>')
    estimates = Estimates("new")
    estimates.add(Estimate(-1.25, -2.0, -0.5, 30, "nat"), quantity="effect")
    run.write_measured(
        "new_tool",
        Measured(
            estimates=estimates,
            figures=["figures/map.svg", "figures/map.png", "figures/gone.svg"],
        ),
    )
    page = page_of(run)
    assert "New tool" in page.plain
    assert "new.effect −1.25 [−2.00, −0.50] 30 nat" in page.plain
    assert len(page.all("img")) == 2


BROWSER = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


@pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")
def test_a_phone_never_scrolls_sideways(make: Make, tmp_path: Path) -> None:
    def long_words(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(text=table.text + "x" * 300) if "text" in table else table

    run = make(edit=long_words, name="n" * 80)
    write_report(run)
    inner = html.escape(run.report_file.read_text().replace("<details>", "<details open>"))
    outer = tmp_path / "phone.html"
    outer.write_text(
        f'<iframe srcdoc="{inner}" style="width:360px;height:700px;border:0"></iframe>'
        "<script>onload = () => { const page = document.querySelector('iframe');"
        "const root = page.contentDocument.documentElement;"
        "document.title = `${root.scrollWidth} of ${page.contentWindow.innerWidth}` }</script>"
    )
    assert BROWSER is not None
    flags = (
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
        "--disable-component-update --disable-sync --hide-scrollbars --dump-dom"
    ).split()
    done = subprocess.run(
        [BROWSER, *flags, f"--user-data-dir={tmp_path / 'profile'}", outer.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "<title>360 of 360</title>" in done.stdout  # what is needed, what is there


def test_queries_of_the_fixture_are_asked_in_both_directions(facts: object) -> None:
    queries: list[Query] = facts.queries  # type: ignore[attr-defined]
    assert {query.direction for query in queries} == {"same", "reverse", None}
