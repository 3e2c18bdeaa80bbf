"""The headline of a run, or of a sweep, as plain text."""

import pandas as pd

from interp_rc.display.rates import by_cell
from interp_rc.records.runs import Run
from interp_rc.records.sweeps import SEED, SweepRun
from interp_rc.report.headline import asked_by
from interp_rc.report.sections import section
from interp_rc.report.settings import told_apart
from interp_rc.report.sweep import settings_table, shown_numbers

ROWS: dict[tuple[str, str], str] = {
    ("trained_forward", "same"): "{subject} to {object}, same order",
    ("trained_forward", "reverse"): "{subject} to {object}, reverse",
    ("trained_backward", "same"): "{object} to {subject}, same order",
    ("trained_backward", "reverse"): "{object} to {subject}, reverse",
    ("both", "forward"): "told in both, asked forward",
    ("both", "backward"): "told in both, asked backward",
    ("realized", "forward"): "questions shown as examples",
    ("symmetric", "same"): "symmetric, same order",
    ("symmetric", "reverse"): "symmetric, reverse",
    ("inverse", "same"): "with an inverse, same order",
    ("inverse", "reverse"): "with an inverse, reverse",
    ("antisymmetric", "same"): "antisymmetric, same order",
    ("antisymmetric", "false_reverse"): "antisymmetric, false in reverse",
    ("symmetric_both", "backward"): "symmetric, told in both, reverse",
    ("inverse_both", "backward"): "inverse, told in both, reverse",
}


def summary(run: Run) -> str:
    """Exact match and candidate accuracy, if it was measured, with 95 % intervals over facts; of a
    run that asked for neither, what its measures found."""
    measured = run.all_measured()
    asked = asked_by(measured)
    if asked is None:
        return tool_summary(run)
    rates, choices = (
        by_cell(asked, quantity=quantity) for quantity in ("exact_match", "candidate_accuracy")
    )
    lines = [f"{'':<34}{'exact match':<24}{'right of all candidates' if choices else ''}".rstrip()]
    for cell, words in ROWS.items():
        if cell in rates:
            last = choices[cell].text() if choices else ""
            label = words.format(**asked.roles._asdict())
            lines.append(f"{label:<34}{rates[cell].text():<24}{last}".rstrip())
    lines += [
        f"{verdict.hypothesis.replace('_', ' ')}: {verdict.verdict}"
        for part in measured.values()
        for verdict in part.verdicts
    ]
    return "\n".join(lines)


def tool_summary(run: Run) -> str:
    """What each measure of a run found, in the sentences of its page."""
    found = [section(kind, run, one) for kind, one in run.all_measured().items()]
    return "\n".join(f"{one.title}\n{one.sentence}\n" for one in found if one.sentence)


def sweep_summary(sweep: SweepRun) -> str:
    """The shown numbers of each setting with 95 % intervals."""
    axes = [axis for axis in sweep.axes() if axis != SEED]
    shown = settings_table(told_apart(sweep.cells()), axes, shown_numbers(sweep))
    rows = pd.DataFrame(list(shown.rows), columns=list(shown.columns))
    return rows.to_string(index=False).replace("\N{NO-BREAK SPACE}", " ")
