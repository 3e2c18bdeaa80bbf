"""The whole measure with judges whose behaviour is known, and with a small encoder."""

import json
from collections import defaultdict
from dataclasses import asdict, dataclass, replace

import pytest

from interp_rc.facts.folder import write_facts
from interp_rc.facts.relations import relations
from interp_rc.measures.base import MeasureContext, run_measure
from interp_rc.measures.symmetry import measure as measure_module
from interp_rc.measures.symmetry.forgotten import FORGETTING, SIMILARITY
from interp_rc.measures.symmetry.measure import TABLE, TRIALS, Symmetry
from interp_rc.measures.symmetry.plan import SHORTCUTS, total_trained
from interp_rc.measures.symmetry.pools import CELLS, FIRST, Pools
from interp_rc.records.errors import DataError
from interp_rc.records.files import write_yaml
from interp_rc.records.runs import Run
from tests.measures.symmetry.conftest import Planted, planted

SMALL = {
    "train": 32, "draws": 2, "test": 28, "neutral": 8, "left_out_train": 26, "left_out_test": 4,
    "sizes": (16, 32), "size_draws": 2, "own_pairs": 20, "entailment_test": 66,
}  # fmt: skip


@pytest.fixture
def by_plan(monkeypatch):
    """Have another way to train, and count how often it is asked."""

    def use(retrain):
        asked = []

        def counted(encoder, pairs, options, seed):
            asked.append((options.method, options.epochs, len(pairs), seed))
            return retrain(encoder, pairs, options, seed)

        monkeypatch.setattr(measure_module, "retrain", counted)
        return asked

    return use


@pytest.mark.slow
def test_judges_that_know_the_relations_they_are_told_of(pair_run, small_encoder, by_plan):
    asked = by_plan(planted)
    found = run_measure(
        Symmetry(**SMALL, methods=("nearest", "head")), MeasureContext(pair_run, small_encoder)
    )
    value = {name: one.value for name, one in found.estimates.items()}
    for entities in ("names", "ids"):
        at = f"symmetry.main.two_labels.{entities}.nearest"
        for test in ("same", "held_out", "other_entities"):
            assert value[f"{at}.{test}.after"] == 1
            assert value[f"{at}.{test}.before"] == 0.5  # it always says the same
        assert value[f"{at}.wrong_entity.after"] == value[f"{at}.shuffled.after"] == 1
        left = f"symmetry.left_out.two_labels.{entities}.head"
        assert value[f"{left}.after"] == value[f"{left}.before"] == 0.5
        assert (value[f"{left}.symmetric.after"], value[f"{left}.antisymmetric.after"]) == (0, 1)
        assert found.estimates[f"{left}.after"].n == 14
        assert value[f"symmetry.main.two_labels.{entities}.lookup.same.after"] == 1
        assert value[f"symmetry.left_out.two_labels.{entities}.lookup.after"] == 0.5
    three = "symmetry.main.three_labels.names.head.same"
    assert value[f"{three}.wrong_entity.after"] == value[f"{three}.after"] == 1
    assert value[f"{three}.wrong_entity.before"] == 0
    assert value["symmetry.new_label.nearest.remembered.balanced"] == 1
    assert not any(name.startswith("symmetry.new_label.head") for name in value)
    assert value["symmetry.samples.head.needed_99"] == 16
    assert value["symmetry.samples.head.reached_100"] == value["symmetry.samples.head.size_32"] == 1
    assert value["symmetry.own.rotate.gaussian"] < 0.5 < value["symmetry.own.cosine.gaussian"]
    assert value["symmetry.forgetting.head.sentences.kept.lost"] == 0  # the encoder is the same
    tests = {test.name: test for test in found.tests}
    follows = tests["symmetry.main.two_labels.ids.head.wrong_entity.follows_class"]
    assert follows.p == pytest.approx(1 / 2002)
    assert follows.correction == "holm"
    # A judge that says one thing of all relations left out does not tell the classes apart.
    assert tests["symmetry.left_out.two_labels.names.head.above_chance"].p is None
    assert found.verdicts[0].verdict == "inconclusive"  # the interval is wide, if about 50 %
    assert found.tables == [TABLE, FORGETTING, SIMILARITY]
    trained = sum(epochs * pairs for _, epochs, pairs, _ in asked)
    assert value["symmetry.trained"] == trained
    # Complete at 16 pairs: 32 were never tried.
    assert not [a for a in asked if a[2] == 32 and a[0] == "head" and a[1] == 3][2 * 4 :]


@dataclass
class HalfRight(Planted):
    """Right about every other pair of a relation that it does not know."""

    def predict(self, pairs):
        knowing = replace(self, trained=True, forgets="")
        wrong = {"entailment": "contradiction", "contradiction": "entailment"}
        rights = [Planted.answer(knowing, pair) for pair in pairs]
        unknown = [not self.trained or pair.relation == self.forgets for pair in pairs]
        return [
            wrong.get(right, right) if lost and number % 2 == 0 else right
            for number, (right, lost) in enumerate(zip(rights, unknown, strict=True))
        ]


def knows_all(encoder, pairs, options, seed):
    return replace(planted(encoder, pairs, options, seed), forgets="")


def knows_what_it_was_told(encoder, pairs, options, seed):
    return HalfRight(**vars(planted(encoder, pairs, options, seed)))


def knows_nothing(encoder, pairs, options, seed):
    return HalfRight(**vars(planted(encoder, pairs, options, seed)) | {"trained": False})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("judge", "verdict"),
    [
        (knows_all, "supported"),
        (knows_what_it_was_told, "refuted"),
        (knows_nothing, "inconclusive"),
    ],
)
def test_the_verdict_is_that_of_the_judge(pair_run, small_encoder, by_plan, judge, verdict):
    """Right about every relation left out, about half of the pairs, or about nothing at all."""
    by_plan(judge)
    options = SMALL | {"draws": 1, "size_draws": 1, "sizes": (16,)}
    [found] = run_measure(
        Symmetry(**options, methods=("head",)), MeasureContext(pair_run, small_encoder)
    ).verdicts
    assert found.verdict == verdict, found


@pytest.mark.slow
def test_every_rate_counted_again(pair_run, small_encoder, by_plan):
    """By plain loops over the table's rows."""

    def forgetful(encoder, pairs, options, seed):
        return replace(
            planted(encoder, pairs, options, seed), forgets=sorted(relations())[seed % 5]
        )

    by_plan(forgetful)
    found = run_measure(
        Symmetry(**SMALL, methods=("nearest",)), MeasureContext(pair_run, small_encoder)
    )
    value = {name: one.value for name, one in found.estimates.items()}
    rows = pair_run.table(TABLE).to_dict("records")
    counted = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for row in rows:
        place = f"{row['label_set']}.{row['entities']}.{row['variant']}"
        names = []
        if row["protocol"] == "main":
            names = [f"main.{place}.{row['test']}.{row['when']}"]
            if row["label_set"] == "three_labels":
                names.append(f"main.{place}.{row['test']}.{row['form']}.{row['when']}")
            unit = row["draw"]
        elif row["protocol"] == "left_out":
            one = relations()[row["relation"]].symmetry
            names = [f"left_out.{place}.{one}.{row['when']}"]
            unit = row["relation"]
        elif row["protocol"] == "samples":
            names = [f"samples.{row['variant']}.size_{row['size']}"]
            unit = row["draw"]
        for name in names:
            counted[name][unit][0] += row["hits"]
            counted[name][unit][1] += row["n"]
    assert len(counted) > 100
    for name, units in counted.items():
        if name.startswith("samples") and len(units) < 2:
            continue
        rates = [hits / n for hits, n in units.values()]
        assert value[f"symmetry.{name}"] == pytest.approx(sum(rates) / len(rates)), name
    both = [
        value[f"symmetry.left_out.two_labels.names.nearest.{one}.after"]
        for one in ("symmetric", "antisymmetric")
    ]
    assert value["symmetry.left_out.two_labels.names.nearest.after"] == pytest.approx(sum(both) / 2)


def test_sizes_that_are_needed(pair_run, small_encoder, by_plan):
    """Draws that need 16, 32 and 64 pairs, and one more than all of these."""
    needs = {}

    def slow(encoder, pairs, options, seed):
        need = needs.setdefault(seed, [16, 32, 64, 999][len(needs) % 4])
        made = planted(encoder, pairs, options, seed)
        return made if len(pairs) >= need else replace(made, trained=False)

    asked = by_plan(slow)
    options = SMALL | {"draws": 1, "left_out_train": 0, "sizes": (16, 32, 64), "size_draws": 4}
    found = run_measure(
        Symmetry(**options, methods=("head",)), MeasureContext(pair_run, small_encoder)
    )
    needs_of_draws = list(needs.values())[:4]
    assert sorted(needs_of_draws) == [16, 32, 64, 999]
    one = found.estimates["symmetry.samples.head.needed_95"]
    assert (one.value, one.low, one.high, one.n) == (48, None, None, 4)
    assert found.estimates["symmetry.samples.head.reached_95"].value == 0.75
    assert found.estimates["symmetry.samples.head.size_16"].value == (1 + 3 * 0.5) / 4
    assert found.estimates["symmetry.samples.head.size_32"].value == (2 + 2 * 0.5) / 4
    assert found.estimates["symmetry.samples.head.size_64"].value == (3 + 0.5) / 4
    tried = [pairs for _, epochs, pairs, seed in asked if epochs][-9:]
    assert sorted(tried) == sorted([16, 16, 32, 16, 32, 64, 16, 32, 64])


class Killed(Exception):
    pass


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on(pair_run, small_encoder, by_plan, monkeypatch):
    options = Symmetry(**SMALL | {"draws": 1, "left_out_train": 0}, methods=("head",))
    whole = by_plan(planted)
    first = run_measure(options, MeasureContext(pair_run, small_encoder))
    table, all_asked = pair_run.table(TABLE), len(whole)
    ledger = pair_run.evaluation / TRIALS
    ledger.unlink()

    def until_killed(*given):
        if len(asked) > all_asked // 2:
            raise Killed
        return planted(*given)

    asked = by_plan(until_killed)
    with pytest.raises(Killed):
        run_measure(options, MeasureContext(pair_run, small_encoder))
    with ledger.open("a", encoding="utf-8") as out:
        out.write('{"settings": {"protocol": "ma')  # what a kill left half written
    again = by_plan(planted)
    second = run_measure(options, MeasureContext(pair_run, small_encoder))
    assert len(asked) - 1 + len(again) == all_asked
    assert second == first
    assert pair_run.table(TABLE).equals(table)
    assert all(json.loads(line)["found"] for line in ledger.read_text().splitlines())
    # Other settings are other trials.
    more = by_plan(planted)
    replaced = options.model_copy(update={"test": 30})
    run_measure(replaced, MeasureContext(pair_run, small_encoder))
    assert len(more) == all_asked


def test_the_plan_of_the_defaults(pair_facts):
    pools = Pools(pair_facts.pairs)
    trials = Symmetry().plan(pools, 3)
    assert len({json.dumps(asdict(trial), sort_keys=True) for trial in trials}) == len(trials)
    by_protocol = defaultdict(list)
    for trial in trials:
        by_protocol[trial.protocol].append(trial)
    trained = [t for t in by_protocol["main"] if t.epochs]
    assert len(trained) == 3 * (3 * 4) + 4
    variants = {t.variant for t in trained if t.cell == FIRST}
    assert {"nearest_l2", "nearest_rotate", "label_embeddings_l2"} < variants
    assert "head_l2" not in variants
    assert len([t for t in by_protocol["left_out"] if t.epochs]) == 14 * 4 * 2
    assert len([t for t in by_protocol["left_out"] if t.method in SHORTCUTS]) == 14 * 4 * 2
    assert len(by_protocol["new_label"]) == 3 * 2 * 2
    assert len(by_protocol["samples"]) == 4 * 10 * 10
    assert total_trained(trials) == 3 * (
        40 * 192 + 112 * 192 + 3 * 2 * (192 + 192 + 64) + 40 * 1568
    )


def test_facts_without_pairs_or_too_few(pair_facts, told):
    with pytest.raises(DataError, match="needs pairs to train on"):
        Symmetry(**SMALL).check(told)
    with pytest.raises(DataError, match=r"up to 400 pairs of two_labels × names, .* have 120"):
        Symmetry(train=64).check(pair_facts)
    with pytest.raises(DataError, match=r"tests with 100 pairs of two_labels × names, .* have 60"):
        Symmetry(**SMALL | {"test": 100}).check(pair_facts)
    with pytest.raises(DataError, match=r"without relation \w+, \d+ pairs of .* `left_out_train`"):
        Symmetry(**SMALL | {"left_out_train": 115}).check(pair_facts)
    one = [replace(pair, label="neutral") for pair in pair_facts.pairs]
    with pytest.raises(DataError, match="have the label 'neutral'"):
        Symmetry(**SMALL).check(replace(pair_facts, pairs=one))
    Symmetry(**SMALL).check(pair_facts)


@pytest.mark.parametrize(
    ("given", "said"),
    [({"sizes": (32, 16)}, "sizes must rise"), ({"methods": ("head", "head")}, "something twice")],
)
def test_options_that_make_no_sense(given, said):
    with pytest.raises(ValueError, match=said):
        Symmetry(**given)


@pytest.mark.slow
def test_a_small_encoder_learns_the_words(tmp_path, pair_facts, small_encoder):
    """Of facts with two labels and names alone; other parts are left out, and the log says so."""
    run = Run(tmp_path / "run")
    some = [p for p in pair_facts.pairs if (p.label_set, p.entities) == FIRST]
    write_facts(replace(pair_facts, pairs=some), run.facts)
    write_yaml(run.config_file, {"seed": 107})
    options = Symmetry(
        **SMALL | {"train": 64, "draws": 1, "sizes": (16,), "size_draws": 1, "left_out_train": 0},
        methods=("nearest", "head"), distances=("cosine", "l2"), learning_rate=2e-3, epochs=20,
    )  # fmt: skip
    found = run_measure(options, MeasureContext(run, small_encoder))
    (noted,) = [event for event in run.log() if event["event"] == "symmetry"]
    assert noted["without"] == [str(cell) for cell in CELLS[1:]]
    value = {name: one.value for name, one in found.estimates.items()}
    at = "symmetry.main.two_labels.names"
    assert value[f"{at}.head.same.after"] > 0.8
    assert value[f"{at}.head.wrong_entity.after"] > 0.7  # whoever it is about
    assert value[f"{at}.head.same.before"] < 0.8
    assert f"{at}.nearest_l2.same.after" in value
    assert not any(".other_entities." in name or ".left_out." in name for name in value)
    assert found.verdicts == []
