"""A fact set for people: how much there is of what, and what it looks like."""

from typing import TYPE_CHECKING

from interp_rc.facts.factset import FactSet

if TYPE_CHECKING:
    import pandas as pd


def summary(facts: FactSet) -> "pd.DataFrame":
    """Counts in long form: facts, documents and queries by group, order, direction and seen."""
    import pandas as pd

    group = {fact.id: fact.group for fact in facts.facts}
    rows = [
        *(("facts", fact.group, "", "", "") for fact in facts.facts),
        *(("documents", group[d.fact], d.order or "both", "", "") for d in facts.documents),
        *(("queries", q.group, q.order, q.direction or "", q.seen) for q in facts.queries),
    ]
    columns = ["part", "group", "order", "direction", "seen"]
    table = pd.DataFrame(rows, columns=columns)
    return table.groupby(columns, sort=False).size().reset_index(name="count")


def examples(facts: FactSet, n: int) -> "pd.DataFrame":
    """The first `n` documents and queries of each group, order, direction and seen."""
    import pandas as pd

    group = {fact.id: fact.group for fact in facts.facts}
    rows: list[tuple[str, ...]] = []
    for told in facts.documents:
        prompt = told.prompt
        answer = told.text[len(prompt) :]
        kind = ("document", group[told.fact], told.order or "both", "", "")
        rows.append((*kind, prompt, answer))
    for asked in facts.queries:
        which = ("query", asked.group, asked.order, asked.direction or "", asked.seen)
        rows.append((*which, asked.prompt, asked.target))
    columns = ["part", "group", "order", "direction", "seen", "prompt", "answer"]
    table = pd.DataFrame(rows, columns=columns)
    return table.groupby(columns[:5], sort=False).head(n).reset_index(drop=True)
