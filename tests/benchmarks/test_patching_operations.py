"""The minimum against a count over the graph of dependencies, and against what torch counts."""

from itertools import product

import pytest
import torch

from benchmarks.patching_operations import above, counted, minimum, rows
from benchmarks.work import Setting, Work

SETTINGS = [
    Setting(vocabulary=30, pairs=2, layers=3, width=16, tokens=8),
    Setting(vocabulary=30, pairs=1, layers=1, width=16, tokens=7),
    Setting(vocabulary=2, pairs=4, layers=2, width=16, tokens=9),  # prompts often agree by chance
]


def graph(s: Setting):
    """Each value's cost and what it is computed from: (layer, position) of stream, keys with
    values, queries, attention, its output, the MLP; and the logits."""
    d = s.width
    cost, parents = {}, {}
    for layer, t in product(range(s.layers + 1), range(s.tokens)):
        at = (layer, t)
        below = (layer - 1, t)
        cost["stream", at] = 0
        parents["stream", at] = [(x, below) for x in ("stream", "out", "mlp") if layer]
        if layer == s.layers:
            continue
        cost["kv", at], parents["kv", at] = 4 * d * d, [("stream", at)]
        cost["query", at], parents["query", at] = 2 * d * d, [("stream", at)]
        seen = [("kv", (layer, u)) for u in range(t + 1)]
        cost["attention", at], parents["attention", at] = 4 * d * len(seen), [("query", at), *seen]
        cost["out", at], parents["out", at] = 2 * d * d, [("attention", at)]
        cost["mlp", at], parents["mlp", at] = 16 * d * d, [("stream", at), ("out", at)]
    end = ("logits", None)
    cost[end], parents[end] = 2 * d * s.vocabulary, [("stream", (s.layers, s.tokens - 1))]
    return cost, parents


def ancestors(parents, node):
    found, left = set(), [node]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += parents[one]
    return found


def changed(parents, sources):
    """Every node that has one of the sources among its ancestors, or is one."""
    return {node for node in parents if ancestors(parents, node) & sources}


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_minimum_is_what_the_dependencies_say(setting):
    work = Work(setting)
    cost, parents = graph(setting)
    needed = ancestors(parents, ("logits", None))
    kinds = {"resid_pre": "stream", "attn_out": "out", "mlp_out": "mlp"}
    total = 0
    for clean, corrupted in zip(work.clean, work.corrupted, strict=True):
        tokens = {("stream", (0, t)) for t in range(setting.tokens) if clean[t] != corrupted[t]}
        differ = changed(parents, tokens)
        total += sum(cost[node] for node in needed)  # the clean prompt
        total += sum(cost[node] for node in needed & differ)
        for kind, *at in product(kinds.values(), range(setting.layers), range(setting.tokens)):
            site = (kind, tuple(at))
            if site in needed & differ:
                total += sum(cost[n] for n in (changed(parents, {site}) & needed) - {site})
    assert minimum(work) == total


def test_a_whole_pass_is_what_torch_counts():
    """Of one token, where nothing can be left out."""
    setting = Setting(vocabulary=30, pairs=1, layers=3, width=16, tokens=1)
    work = Work(setting)
    assert counted(lambda: work.loaded.model(work.clean)) == above(setting, 0, range(1))


def test_the_loop_and_the_engine():
    setting = SETTINGS[0]
    work = Work(setting)
    found = {row["side"]: row for row in rows(setting)}
    passes = 1 + 3 * setting.layers * setting.tokens
    whole = counted(lambda: work.loaded.model(work.clean))
    assert found["loop"]["operations"] == passes * whole
    assert found["minimum"]["times_the_minimum"] == 1
    least, most = found["minimum"]["operations"], found["loop"]["operations"]
    assert least <= found["engine"]["operations"] < most
    assert found["adapter"]["operations"] > 0
    assert torch.get_num_threads() == 1
