"""A damaged file of a run is named in one line, or changes no number; a drawn few of all cases."""

from random import Random

import pytest

from tests.fuzz.damage import Case, Stock, outcome, try_all

FEW = {"report": 12, "resume": 24, "again": 4, "evaluate": 12, "validate": 8, "show": 4}


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    return Stock.made(tmp_path_factory.mktemp("stock"), sweep=False)


@pytest.mark.slow
def test_no_damage_is_a_traceback_or_another_number(stock, tmp_path):
    draw, cases = Random(3), stock.cases()
    drawn = [
        case
        for command, count in FEW.items()
        for case in draw.sample([c for c in cases if c.command == command], count)
    ]
    tally = try_all(stock, drawn, tmp_path)
    assert tally.faults == []
    ended = {name: sum(n for end, n in tally.ended.items() if end.endswith(name))
             for name in ("refused", "done")}  # fmt: skip
    assert ended["refused"] > len(drawn) / 2
    assert ended["done"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "file", "damage", "ends"),
    [
        ("begun", "base/model.safetensors", "flip", "refused"),
        ("begun", "checkpoints/checkpoint-4/model.safetensors", "flip", "done"),
        ("run", "environment.json", "[]", "refused"),
        ("run", "facts/queries.jsonl", "empty", "refused"),
        ("run", "measured/forgetting.json", "delete", "refused"),
        ("run", "measured/reverse_at_chance.json", "folder", "refused"),
    ],
)
def test_what_once_passed_or_was_a_traceback(stock, tmp_path, state, file, damage, ends):
    case = Case(state, file, damage, "resume" if state == "begun" else "report")
    assert outcome(stock, case, tmp_path, Random(0)) == (ends, None)
