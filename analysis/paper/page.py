"""The page: every table and figure of the paper, from committed tables alone."""

from pathlib import Path

from jinja2 import FileSystemLoader

from analysis.paper import experiment1, experiment2, experiment3, over_training
from analysis.paper.in_context import in_context
from analysis.paper.parts import Paper
from analysis.paper.published import REPOSITORY
from interp_rc.display.section import Section
from interp_rc.records.files import write_text
from interp_rc.report.environment import page_environment

NAME = "Berglund et al. (2023), arXiv:2309.12288: Experiments 1, 2 and 3"


def sections(paper: Paper) -> dict[str, list[Section]]:
    """Every table and figure by experiment, in the paper's order."""
    forty_thousand, *remedies = (
        experiment1.remedy(paper, experiment) for experiment in experiment1.REMEDIES
    )
    return {
        "Experiment 1: descriptions of fictitious people": [
            experiment1.table1(paper),
            experiment1.table3(paper),
            experiment1.figure7(paper),
            experiment1.figure8(paper),
            experiment1.scaling(paper),
            in_context(paper),
            forty_thousand,
            over_training.prompt_tuning(paper),
            experiment1.both_doses(paper),
            *remedies,
        ],
        "Experiment 2: parents and children": [
            experiment2.figure5(paper),
            experiment2.released_sums(paper),
        ],
        "Experiment 3: instructions": [
            experiment3.figure6(paper),
            experiment3.figure10(paper),
            over_training.figure11(paper),
            experiment3.footnote13(paper),
        ],
    }


def write_page(paper: Paper, out: Path) -> None:
    """Draw the figures and write the page; DataError if a table is damaged."""
    template = page_environment(FileSystemLoader(Path(__file__).parent)).get_template(
        "paper.html.j2"
    )
    write_text(out, template.render(name=NAME, repository=REPOSITORY, parts=sections(paper)))
