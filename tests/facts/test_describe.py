"""What `interp-rc facts show` tells about a set."""

from interp_rc.facts.describe import examples, summary


def test_summary_counts_everything_once(small):
    table = summary(small)
    counts = table.groupby("part")["count"].sum().to_dict()
    assert counts == {
        "facts": len(small.facts),
        "documents": len(small.documents),
        "queries": len(small.queries),
    }
    reverse = table[(table["part"] == "queries") & (table["direction"] == "reverse")]
    assert dict(zip(reverse["group"], reverse["count"], strict=True)) == {
        "trained_forward": 6,
        "trained_backward": 6,
    }
    assert set(table.loc[table["part"] == "queries", "seen"]) == {"elsewhere"}


def test_examples_show_each_kind(small):
    table = examples(small, 2)
    assert len(table) == 2 * (4 + 6)  # documents: four groups and orders; queries: six
    row = table.iloc[0]
    assert row["prompt"] + row["answer"] == small.documents[0].text
    assert len(examples(small, 10_000)) == len(small.documents) + len(small.queries)
