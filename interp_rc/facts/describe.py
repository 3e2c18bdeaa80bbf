"""A fact set for people: how much there is of what, and what it looks like."""

from typing import TYPE_CHECKING

from interp_rc.facts.factset import FactSet

if TYPE_CHECKING:
    import pandas as pd


def summary(facts: FactSet) -> "pd.DataFrame":
    """Counts in long form: facts, documents and queries by subset, order, direction and seen."""
    import pandas as pd

    subset = {fact.id: fact.subset for fact in facts.facts}
    rows = [
        *(("facts", fact.subset, "", "", "") for fact in facts.facts),
        *(("documents", subset[d.fact], d.order or "both", "", "") for d in facts.documents),
        *(("queries", q.subset, q.order, q.direction or "", q.seen) for q in facts.queries),
    ]
    columns = ["part", "subset", "order", "direction", "seen"]
    table = pd.DataFrame(rows, columns=columns)
    return table.groupby(columns, sort=False).size().reset_index(name="count")


def examples(facts: FactSet, n: int) -> "pd.DataFrame":
    """The first `n` documents and queries of each subset, order, direction and seen."""
    import pandas as pd

    subset = {fact.id: fact.subset for fact in facts.facts}
    rows: list[tuple[str, ...]] = []
    for told in facts.documents:
        prompt = told.prompt
        answer = told.text[len(prompt) :]
        kind = ("document", subset[told.fact], told.order or "both", "", "")
        rows.append((*kind, prompt, answer))
    for asked in facts.queries:
        which = ("query", asked.subset, asked.order, asked.direction or "", asked.seen)
        rows.append((*which, asked.prompt, asked.target))
    columns = ["part", "subset", "order", "direction", "seen", "prompt", "answer"]
    table = pd.DataFrame(rows, columns=columns)
    return table.groupby(columns[:5], sort=False).head(n).reset_index(drop=True)
