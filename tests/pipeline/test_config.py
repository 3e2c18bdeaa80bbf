"""A configuration is refused before anything runs, at the place of its fault."""

import textwrap

import pytest
import yaml

from interp_rc.pipeline.config import RunConfig, load_config
from interp_rc.pipeline.experiments import evaluation_config, experiments, find_experiment
from interp_rc.pipeline.sweep.plan import Plan, load_plan
from interp_rc.pipeline.yaml_source import merge
from interp_rc.records.errors import ConfigError
from interp_rc.records.packaged import packaged

GOOD = """\
    name: mine
    seed: 3
    facts:
      kind: people
      per_group: 5
    model:
      kind: embedded
      size: {layers: 2}
      world:
        both: 20
    training:
      objective: {kind: next_token, loss_on: completion}
      epochs: 2
      lora: {rank: 4}
    measures:
      - kind: behaviour
      - kind: forgetting
        batch_size: 16
      - kind: reverse_at_chance
        margin: {name: 0.5, description: 0.7}
    smoke:
      facts: {per_group: 2}
      training: {epochs: 1, lora: null}
      measures: [{kind: behaviour, batch_size: 2}]
    """


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.yaml"

    def write(*changes):
        text = textwrap.dedent(GOOD)
        for old, new in changes:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refused(path, *fragments, sets=None, smoke=False):
    with pytest.raises(ConfigError) as caught:
        load_config(path, sets, smoke=smoke)
    for fragment in fragments:
        assert fragment in str(caught.value)
    return str(caught.value)


def test_a_good_one(file):
    config = load_config(file())
    assert (config.name, config.seed) == ("mine", 3)
    assert (config.facts.per_group, config.facts.training_templates) == (5, 30)
    assert (config.model.size.layers, config.model.size.width) == (2, 128)
    assert config.training.objective.loss_on == "completion"
    assert [measure.kind for measure in config.measures] == [
        "behaviour",
        "forgetting",
        "reverse_at_chance",
    ]
    assert config.measures[1].batch_size == 16


def test_what_is_written_is_read_back(file, tmp_path):
    config = load_config(file())
    again = tmp_path / "again.yaml"
    again.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    assert load_config(again) == config


@pytest.mark.parametrize(
    ("old", "new", "line", "fragments"),
    [
        # Unknown keys at every depth, with the nearest known one and all others.
        ("seed: 3", "sed: 3", 2, ["unknown key `sed`", "did you mean `seed`?", "facts, machine,"]),
        ("seed: 3", "zebra: 3", 2, ["unknown key `zebra`; known here: base, facts, machine,"]),
        ("per_group: 5", "per_subest: 5", 5, ["`facts.per_subest`", "did you mean `per_group`?"]),
        ("both: 20", "bth: 20", 10, ["`model.world.bth`", "did you mean `both`?", "exposures"]),
        ("layers: 2", "layer: 2", 8, ["`model.size.layer`", "did you mean `layers`?", "context"]),
        ("epochs: 2", "epoch: 2", 13, ["`training.epoch`", "did you mean `epochs`?", "clip"]),
        ("rank: 4", "rnk: 4", 14, ["`training.lora.rnk`", "mean `rank`? known here: alpha"]),
        ("loss_on:", "loss:", 12, ["`training.objective.loss`", "did you mean `loss_on`?"]),
        ("batch_size: 16", "batchsize: 16", 18, ["`measures.1.batchsize`", "`batch_size`?"]),
        ("margin:", "margins:", 20, ["`measures.2.margins`", "did you mean `margin`?"]),
        # Values of the wrong type or size.
        ("seed: 3", "seed: three", 2, ["`seed`", "valid integer", "found 'three'"]),
        ("seed: 3", "seed: -1", 2, ["`seed`", "greater than or equal to 0", "found -1"]),
        ("per_group: 5", "per_group: 1", 5, ["`facts.per_group`", "found 1"]),
        ("both: 20", "both: {a: 1}", 10, ["`model.world.both`", "valid integer"]),
        ("epochs: 2", "epochs: 2.5", 13, ["`training.epochs`", "found 2.5"]),
        ("batch_size: 16", "batch_size: []", 18, ["`measures.1.batch_size`", "found []"]),
        ("name: 0.5,", "name: 0,", 20, ["`measures.2.margin.name`", "found 0"]),
        ("name: 0.5,", "nme: 0.5,", 20, ["`measures.2.margin.nme`", "did you mean `name`?"]),
        ("loss_on: completion", "loss_on: all", 12, ["training.objective.loss_on", "found 'all'"]),
        ("- kind: behaviour\n", "- behaviour\n", 16, ["`measures.0`", "found 'behaviour'"]),
        # Kinds.
        ("kind: people", "kind: persons", 4, ["`facts`", "kind 'persons'", "people, folder, publ"]),
        ("kind: embedded", "kind: embed", 7, ["`model`", "unknown kind 'embed'", "pretrained"]),
        ("kind: forgetting", "kind: forget", 17, ["`measures.1`", "kind 'forget'", "forgetting"]),
        ("kind: people\n", "seed: 1\n", 3, ["`facts` has no `kind`; add one"]),
        ("- kind: forgetting\n    ", "- ", 17, ["`measures.1` has no `kind`; add one"]),
        ("kind: next_token", "kind: masked", 12, ["`training.objective.kind`", "found 'masked'"]),
        # Missing keys.
        ("kind: people\n  per_group: 5", "kind: folder", 3, ["`facts.path` is missing; add it"]),
        ("name: mine\n", "", 1, ["`name` is missing; add it"]),
        # Names become folders.
        ("name: mine", "name: a/b", 1, ["`name`", "found 'a/b'"]),
        ("name: mine", "name: ..", 1, ["`name`", "found '..'"]),
        ("name: mine", "name: ''", 1, ["`name`", "found ''"]),
        ("name: mine", "name: a..b", 1, ["`name`", "found 'a..b'"]),
        ("name: mine", 'name: "a\\n"', 1, ["`name`", "found 'a\\n'"]),
        ("name: mine", "name: " + 81 * "a", 1, ["`name`", "at most 80 characters"]),
        ("name: mine", "name: 7", 1, ["`name`", "valid string", "found 7"]),
        # Files that are no configuration.
        ("seed: 3", "seed: [3", 3, ["not YAML"]),
        ("seed: 3", "\tseed: 3", 2, ["not YAML"]),
        ("seed: 3", "seed: !!python/object/apply:os.getcwd []", 2, ["not YAML", "python/object"]),
        ("seed: 3", "name: other", 2, ["`name` stands twice (first in line 1); delete one"]),
        ("both: 20", "both: 20\n    both: 30", 11, ["`both` stands twice (first in line 10)"]),
        ("rank: 4", "rank: 4, rank: 5", 14, ["`rank` stands twice"]),
        ("batch_size: 16", "kind: behaviour", 18, ["`kind` stands twice (first in line 17)"]),
        # What does not go together.
        ("kind: forgetting", "kind: behaviour", 1, ["`measures` names a kind twice"]),
        ("  - kind: behaviour\n", "", 1, ["reverse_at_chance` reads `behaviour`: put that"]),
        ("layers: 2", "width: 9", 8, ["`model.size`", "width 9 must be a multiple of 2 x 4 heads"]),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_place(file, old, new, line, fragments):
    path = file((old, new))
    assert refused(path, *fragments).startswith(f"{path}:{line}: ")


def test_replay_needs_a_corpus(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nfacts: {kind: people}\nmodel: {kind: pretrained, source: gpt2}\n"
        "training: {replay: 0.5}\nmeasures: []\n"
    )
    refused(path, f"{path}:1: ", "`training.replay` needs an embedded model")


def with_training(tmp_path, training, measures="[{kind: trace}]"):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nfacts: {kind: people}\nmodel: {kind: embedded}\n"
        f"training: {training}\nmeasures: {measures}\n"
    )
    return path


def test_a_soft_prompt_is_another_kind_of_training(tmp_path):
    path = with_training(
        tmp_path, "{kind: prompt_tuning, virtual_tokens: 7, only: both, trace: {every: 0.5}}"
    )
    config = load_config(path)
    assert (config.training.kind, config.training.virtual_tokens) == ("prompt_tuning", 7)
    assert config.training.batch_size == 32  # what all trainings share
    assert load_config(path, ["training={kind: finetune, trace: {}}"]).training.lora is None
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("training", "measures", "fragments"),
    [
        ("{kind: prompt_tuning, virtual: 7}", "[]", ["`training.virtual`", "`virtual_tokens`?"]),
        ("{kind: prompt_tuning, lora: {}}", "[]", ["unknown key `training.lora`"]),
        ("{epoch: 7}", "[]", ["unknown key `training.epoch`; did you mean `epochs`?"]),
        ("{kind: prompt}", "[]", ["`training`", "kind 'prompt'; known: finetune, prompt_tuning"]),
        ("{trace: {evry: 1}}", "[]", ["unknown key `training.trace.evry`", "`every`?"]),
        ("{trace: {every: 0}}", "[]", ["`training.trace.every`", "found 0"]),
        ("{epochs: 2}", "[{kind: trace}]", ["measure `trace` needs `training.trace`"]),
        ("null", "[{kind: trace}]", ["measure `trace` needs a training"]),
        ("{kind: prompt_tuning}", "[{kind: gradients}]", ["`gradients` looks inside", "finetune"]),
        ("{kind: prompt_tuning}", "[{kind: probe}]", ["`probe` looks inside", "finetune"]),
        ("{only: both}", "[{kind: behaviour}]", ["`behaviour`", "`training.only` leaves untold"]),
    ],
)
def test_trainings_that_do_not_fit(tmp_path, training, measures, fragments):
    refused(with_training(tmp_path, training, measures), *fragments)


def test_all_faults_are_named_at_once(file):
    path = file(("seed: 3", "seed: x"), ("both: 20", "bth: 20"))
    message = refused(path)
    assert [line.split(": ")[0] for line in message.splitlines()] == [f"{path}:2", f"{path}:10"]


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        ("", [":1: found no mapping", "an experiment is a mapping of keys"]),
        ("- kind: behaviour\n", [":1: found no mapping"]),
        ("just words\n", [":1: found no mapping"]),
        ("a: 1\n---\nb: 2\n", [":2: not YAML"]),
        ("a: &a [*a]\n", [":1: "]),
        ("? [a, b]\n: 1\n", [":1: not YAML"]),
    ],
)
def test_a_file_that_is_no_mapping(tmp_path, content, fragments):
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    assert refused(path, *fragments).startswith(str(path))


def test_a_file_that_cannot_be_read(tmp_path):
    refused(tmp_path / "none.yaml", "none.yaml: file not found; check the path")
    refused(tmp_path, "cannot be read")
    (tmp_path / "latin.yaml").write_bytes("name: a\n# Zoë\n".encode("latin-1"))
    refused(tmp_path / "latin.yaml", "latin.yaml:2: ", "is not UTF-8; save the file as UTF-8")


# The smoke block


def test_smoke_is_laid_over_the_rest(file):
    config, small = load_config(file()), load_config(file(), smoke=True)
    assert (config.facts.per_group, small.facts.per_group) == (5, 2)
    assert (small.training.epochs, small.training.lora) == (1, None)
    assert small.training.objective == config.training.objective
    assert [measure.kind for measure in small.measures] == ["behaviour"]  # lists are replaced
    assert small.model == config.model


def test_merging_is_deep_and_changes_neither_side():
    below, above = {"a": {"b": 1, "c": [1, 2]}, "d": 1}, {"a": {"c": [3]}, "d": {"e": 2}}
    assert merge(below, above) == {"a": {"b": 1, "c": [3]}, "d": {"e": 2}}
    assert below == {"a": {"b": 1, "c": [1, 2]}, "d": 1}


def test_a_part_of_another_kind_replaces_the_one_below():
    """Its keys would be unknown to the new kind."""
    below = {"model": {"kind": "pretrained", "source": "gpt2"}, "x": {"a": 1}}
    other = {"kind": "embedded", "vocabulary": 512}
    assert merge(below, {"model": other})["model"] == other
    same = {"kind": "pretrained", "revision": "r"}
    assert merge(below, {"model": same})["model"] == {"source": "gpt2"} | same
    assert merge(below, {"model": {"revision": "r"}})["model"] == {"source": "gpt2"} | same
    assert merge(below, {"x": {"kind": "k"}})["x"] == {"kind": "k", "a": 1}


def test_a_fault_in_smoke_is_named_at_its_own_line(file):
    path = file(("facts: {per_group: 2}", "facts: {per_group: 1}"))
    load_config(path)
    assert refused(path, "`facts.per_group`", "found 1", smoke=True).startswith(f"{path}:22: ")
    path = file(("facts: {per_group: 2}", "facts: {pergroup: 2}"))
    assert refused(path, "`facts.pergroup`", smoke=True).startswith(f"{path}:22: ")


def test_smoke_must_be_a_mapping(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(textwrap.dedent(GOOD).split("smoke:")[0] + "smoke: fast\n")
    refused(path, f"{path}:21: smoke must be a mapping of overrides")


# --set


@pytest.mark.parametrize(
    ("assignment", "found"),
    [
        ("seed=7", lambda config: config.seed == 7),
        ("facts.per_group=4", lambda config: config.facts.per_group == 4),
        ("model.size.shape=gpt2", lambda config: config.model.size.shape == "gpt2"),
        ("model.size={layers: 1, width: 8}", lambda config: config.model.size.width == 8),
        ("training.lora=null", lambda config: config.training.lora is None),
        ("training.learning_rate=1.0e-5", lambda config: config.training.learning_rate == 1e-5),
        ("training.betas=[0.8, 0.9]", lambda config: config.training.betas == (0.8, 0.9)),
        ("measures.1.batch_size=9", lambda config: config.measures[1].batch_size == 9),
        ("machine.threads=1", lambda config: config.machine.threads == 1),
        ("facts={kind: folder, path: a=b}", lambda config: config.facts.kind == "folder"),
        ("name='5'", lambda config: config.name == "5"),
    ],
)
def test_set_reads_its_value_as_yaml(file, assignment, found):
    assert found(load_config(file(), [assignment]))
    assert not found(load_config(file()))


def test_set_comes_after_smoke_and_the_last_one_counts(file):
    sets = ["facts.per_group=8", "facts.per_group=9"]
    assert load_config(file(), sets, smoke=True).facts.per_group == 9


@pytest.mark.parametrize(
    ("assignment", "fragments"),
    [
        ("seed", ["write it as key=value, e.g. training.epochs=2"]),
        ("=3", ["write it as key=value"]),
        ("seed=[1", ["the value is not YAML; quote it"]),
        ("seed=!!python/object/apply:os.getcwd []", ["the value is not YAML"]),
        ("seed=!!python/object:os.system x", ["the value is not YAML"]),
        ("seed=many", [": `seed`", "found 'many'"]),
        ("seed=", [": `seed`", "found None"]),
        ("facts.per_subst=4", ["unknown key `facts.per_subst`; did you mean `per_group`?"]),
        ("fact.per_group=4", ["unknown key `fact`; did you mean `facts`?"]),
        ("model.kind=gpt", ["`model` has unknown kind 'gpt'; known: embedded, pretrained"]),
        ("measures.7.batch_size=4", ["7 is no place in a list of 3; count from 0"]),
        ("measures.behaviour.batch_size=4", ["'behaviour' is no place in a list of 3"]),
        ("measures.²=4", ["'²' is no place in a list of 3"]),
        ("name=../up", [": `name`", "found '../up'"]),
        ("smoke.seed=1", ["unknown key `smoke`"]),
    ],
)
def test_a_faulty_set_is_named_itself(file, assignment, fragments):
    message = refused(file(), *fragments, sets=["training.epochs=3", assignment])
    assert message.startswith(f"--set {assignment}: ")
    assert "\n" not in message


# Ours


@pytest.mark.parametrize("path", experiments(), ids=lambda path: path.stem)
def test_every_experiment_of_ours_is_valid(path):
    whole, small = (runs_of(load_plan(path, smoke=smoke)) for smoke in (False, True))
    assert {run.name for run in (*whole, *small)} == {path.stem}
    assert not [run for run in small if run in whole]  # every experiment has a smoke block
    assert len(small) <= 2
    assert find_experiment(path.stem) == path
    text = path.read_text(encoding="utf-8")
    assert set(yaml.safe_load(text)) - {"smoke", "sweep"} <= set(RunConfig.model_fields)


def runs_of(plan: RunConfig | Plan) -> list[RunConfig]:
    return [trial.config for trial in plan.trials] if isinstance(plan, Plan) else [plan]


PRETRAINED = "model={kind: pretrained, source: a-model}"
ENDPOINT = "model={kind: endpoint, url: 'http://localhost:1/v1', model: a-model}"
NOT_OF_THAT_KIND = {  # what a user has to change besides, by experiment and model
    ("hosted", PRETRAINED): "give `training: {kind: finetune}`",
    ("symmetry", PRETRAINED): "measure `symmetry` needs an encoder: give a model of kind",
    ("parents", ENDPOINT): None,
    ("hosted", ENDPOINT): None,
    ("symmetry", ENDPOINT): "measure `symmetry` needs an encoder",
}


@pytest.mark.parametrize("smoke", [False, True])
@pytest.mark.parametrize("model", [PRETRAINED, ENDPOINT], ids=["pretrained", "endpoint"])
@pytest.mark.parametrize("path", experiments(), ids=lambda path: path.stem)
def test_every_experiment_takes_another_model_or_names_the_key_to_change(path, model, smoke):
    """A fault is put down to the `--set`: the experiment itself is right as it is."""
    trained = "a model behind an API is not trained here: give `training: null`"
    expected = NOT_OF_THAT_KIND.get((path.stem, model), None if model == PRETRAINED else trained)
    if smoke and path.stem == "hosted":  # its small form trains a model that is made here
        expected = None if model == PRETRAINED else trained
    if expected is None:
        for run in runs_of(load_plan(path, [model], smoke=smoke)):
            assert run.made()
            assert {measure.kind for measure in run.measures} - {m.kind for m in run.made()} <= {
                "forgetting"
            }
    else:
        with pytest.raises(ConfigError) as caught:
            load_plan(path, [model], smoke=smoke)
        assert str(caught.value).startswith(f"--set {model} (over {path}): ")
        assert expected in str(caught.value)


def test_nothing_but_forgetting_cannot_be_measured_of_a_pretrained_model(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nfacts: {kind: people}\nmodel: {kind: pretrained, source: gpt2}\n"
        "measures: [{kind: forgetting}]\n"
    )
    refused(path, f"{path}:1: ", "`forgetting` asks about the corpus", "add to `measures`")


def test_there_are_experiments():
    found = {path.stem for path in experiments()}
    assert "descriptions" in found
    plans = {"prereg", "prereg_mechanism", "prereg_tools", "prereg_weights", "prereg_corrections"}
    assert found == {path.stem for path in packaged("experiments").glob("*.yaml")} - plans


def test_an_unknown_experiment_names_those_there_are(tmp_path):
    with pytest.raises(
        ConfigError, match=r"no experiment 'description'; give a \.yaml.*descriptions"
    ):
        find_experiment("description")
    assert find_experiment("nowhere/mine.yaml").name == "mine.yaml"  # reading it fails later


def test_an_evaluation_trains_nothing(tmp_path):
    config = evaluation_config("gpt2", None, tmp_path, 32)
    assert config.training is None
    assert [measure.kind for measure in config.measures] == ["behaviour"]
    assert config.measures[0].batch_size == 32


def test_paths_mean_the_same_from_any_folder(file, tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    monkeypatch.chdir(tmp_path)
    config = evaluation_config("model", None, "facts", 32)
    assert config.facts.path == tmp_path / "facts"
    assert config.model.source == str(tmp_path / "model")
    assert evaluation_config("gpt2", None, "facts", 32).model.source == "gpt2"  # a hub id


def test_a_key_given_by_mistake_is_never_repeated(tmp_path):
    """Neither from a file nor from the command line, in the place of its variable or in the URL."""
    key = "sk-proj-0123"
    for option in ({"key_from": key}, {"url": f"https://me:{key}@x/v1"}):
        path = tmp_path / "mine.yaml"
        remote = {"kind": "endpoint", "model": "m"} | option
        data = {"name": "x", "facts": {"kind": "parents"}, "model": remote, "training": None}
        path.write_text(yaml.safe_dump(data | {"measures": [{"kind": "parents"}]}))
        assert key not in refused(path, "mine.yaml", "environment")
        [(name, value)] = option.items()
        given = [f"model.{name}={value}"]
        assert key not in refused(find_experiment("hosted"), "environment", sets=given)
