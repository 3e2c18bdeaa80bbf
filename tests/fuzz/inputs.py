"""One malformed input of each kind: the files it is in, and the command that reads it."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import yaml

from interp_rc.facts.contrasts import held_out_contrasts, write_contrasts
from interp_rc.facts.fictitious import fictitious_people
from interp_rc.facts.folder import write_facts
from interp_rc.facts.published import export_published
from interp_rc.facts.symmetry import symmetry
from interp_rc.models.load import save
from interp_rc.models.tokenizer import train_tokenizer
from interp_rc.records.files import write_jsonl
from interp_rc.records.packaged import packaged
from tests.conftest import untaught
from tests.fuzz.values import (
    aliases,
    json_value,
    nested,
    number,
    spoilt,
    text,
    yaml_value,
)

TABLE = """child,parent,parent_type,m_can_find_parent,m_can_find_child
Ann Lee,Bob Lee,father,0.5,0.25
"Cy, Dee",Eve Dee,mother,1.0,0.0
Flo Gum,Hal Gum,father,0,1
"""
SYMMETRY = (
    "textid\ttext\tpair\trelation\tsymmetry\tlabel\n"
    "1\tanna vel is the spouse of tom rok\ttom rok is the spouse of anna vel\tis the spouse of\t"
    "symmetric\tentailment\n"
    "2\tora is the sibling of pim\tpim is the sibling of ora\tis the sibling of\tsymmetric\tentailment\n"
)
SITES = [
    "mlp_out.0@source.last", "resid_post.*@prompt.last", "z.h*@source.last", "z.1.h0@source.first",
    "mlp_out.*x2@source.last", "mlp_post.0.n3@source.last", "attn_out.0@3", "pattern.0.h1@source.all",
    "model.layers.0.mlp@prompt.all", "resid_pre.0@B.first", "mlp_out",
]  # fmt: skip


@dataclass
class Workshop:
    """Valid inputs that malformed ones are made from, below `folder`."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> "Workshop":
        """A tiny model, a facts folder, contrasts, tracings, and data in published layouts."""
        told = fictitious_people(0, per_group=3, training_templates=4, held_out_templates=2)
        tokenizer = train_tokenizer([document.text for document in told.documents], 420, "tiny")
        save(untaught(tokenizer, "llama", context=160), folder / "model")
        write_facts(told, folder / "facts")
        write_facts(symmetry(0, train=8, test=8), folder / "pair_facts")
        export_published(told, folder / "published")
        contrasts = held_out_contrasts(told, 1)[:3]
        write_contrasts(contrasts, folder / "pairs.jsonl")
        write_jsonl(
            folder / "tracings.jsonl",
            [
                {
                    "prompt": c.clean,
                    "subject": c.clean[slice(*c.spans["source"][0])],
                    "target": c.target,
                }
                for c in contrasts
            ],
        )
        (folder / "parents.csv").write_text(TABLE, encoding="utf-8")
        (folder / "symmetry.tsv").write_text(SYMMETRY, encoding="utf-8")
        (folder / "people.txt").write_text("Ann Lee\nBob Lee\n", encoding="utf-8")
        return cls(folder)


@dataclass
class Input:
    """`arguments` of the command line; `calls` instead of them, for what would begin to train."""

    kind: str
    arguments: list[str]
    reads: Callable[[], object] | None = None


Kind = Callable[[Workshop, Path, Random], Input]
KINDS: dict[str, Kind] = {}


def kind(make: Kind) -> Kind:
    KINDS[make.__name__] = make
    return make


def malformed(workshop: Workshop, folder: Path, draw: Random) -> Input:
    """One input of any kind, its files in `folder`."""
    name = draw.choice(sorted(KINDS))
    made = KINDS[name](workshop, folder, draw)
    made.kind = name
    return made


def _write(path: Path, content: str | bytes, draw: Random) -> Path:
    """A file with this content, or now and then something that is no such file."""
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    if draw.random() > 0.06:
        path.write_bytes(raw)
        return path
    path.unlink(missing_ok=True)
    match draw.randrange(8):
        case 0:
            os.mkfifo(path)
        case 1:
            path.symlink_to("/dev/zero")
        case 2:
            path.mkdir()
        case 3:
            path.symlink_to(path)
        case 4:
            path.write_bytes(b"")
        case 5:
            path.write_bytes(
                raw.decode("utf-8", "replace").encode(
                    draw.choice(["utf-16", "utf-32", "cp037"]), "replace"
                )
            )
        case 6:
            with path.open("wb") as out:
                out.truncate(2**33)
        case _:
            return path.with_name(draw.choice(["gone", "x" * 300, "\udcff"]))
    return path


def _json_lines(path: Path, draw: Random) -> str | bytes:
    """The lines of a valid file, one of them changed in a key, or the whole spoilt."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if draw.random() < 0.25:
        return spoilt("\n".join(lines).encode(), draw)
    at = draw.randrange(len(lines))
    row: dict[str, Any] = json.loads(lines[at])
    raw = {key: json.dumps(value, ensure_ascii=draw.random() < 0.5) for key, value in row.items()}
    for _ in range(draw.choice([1, 1, 2])):
        key = draw.choice([*raw, "id", "spans", "order", "foil", "start", text(draw)])
        raw[key] = json_value(draw)
        if key == "spans" and draw.random() < 0.7:
            ends = [number(draw) or "0" for _ in range(draw.choice([1, 2, 4]))]
            raw[key] = draw.choice(
                ['{"source": [[%s]]}' % ", ".join(ends[:2]), '{"source": [[%s], [0, 3]]}' % ends[0],
                 '{"source": %s, "A": [[0, 2], [0, 2]]}' % json_value(draw)]
            )  # fmt: skip
        if draw.random() < 0.2:
            raw.pop(draw.choice(list(raw)))
    made = "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in raw.items()) + "}"
    if draw.random() < 0.05:
        made = draw.choice([made * 2, made[:-1], json_value(draw), made.replace(":", "", 1)])
    lines[at] = made
    if draw.random() < 0.05:
        lines = draw.choice(
            [[], lines * 2, lines[:1] * 3, ["" for _ in lines], [made.replace("\n", "\r")]]
        )
    return "\n".join(lines)


def _out(folder: Path) -> str:
    return str(folder / "out.parquet")


@kind
def contrasts(workshop: Workshop, folder: Path, draw: Random) -> Input:
    pairs = _write(folder / "pairs.jsonl", _json_lines(workshop.folder / "pairs.jsonl", draw), draw)
    command = draw.choice(["patch", "patch", "attribute"])
    return Input(
        "",
        [command, "--model", str(workshop.folder / "model"), "--pairs", str(pairs),
         "--site", draw.choice(SITES), "--out", _out(folder)],
    )  # fmt: skip


@kind
def tracings(workshop: Workshop, folder: Path, draw: Random) -> Input:
    pairs = _write(folder / "t.jsonl", _json_lines(workshop.folder / "tracings.jsonl", draw), draw)
    return Input(
        "",
        ["trace", "--model", str(workshop.folder / "model"), "--pairs", str(pairs), "--draws", "2",
         "--site", "mlp_out.0@A.last", "--out", _out(folder)],
    )  # fmt: skip


@kind
def sites(workshop: Workshop, folder: Path, draw: Random) -> Input:
    site = draw.choice(SITES)
    for _ in range(draw.choice([1, 1, 2])):
        match draw.randrange(4):
            case 0:
                site = re.sub(r"\d+|\*", lambda _: number(draw), site, count=1)
            case 1:
                at = draw.randrange(len(site) + 1)
                site = (
                    site[:at]
                    + draw.choice([text(draw), number(draw), ".", "@", "*", "x", ".h"])
                    + site[at:]
                )
            case 2:
                site = spoilt(site.encode(), draw).decode("utf-8", "replace")
            case _:
                site = re.sub(
                    r"(h|n|x|@)[\w*.]*", lambda found: found[1] + number(draw), site, count=1
                )
    pairs = str(workshop.folder / draw.choice(["pairs.jsonl", "pairs.jsonl", "tracings.jsonl"]))
    command = "trace" if "tracings" in pairs else draw.choice(["patch", "attribute"])
    return Input(
        "",
        [command, "--model", str(workshop.folder / "model"), "--pairs", pairs, f"--site={site}",
         "--out", _out(folder)],
    )  # fmt: skip


OPTIONS = {
    "patch": ["--memory", "--scale", "--seed", "--out", "--figure", "--pairs", "--model", "--device",
              "--intervention", "--metric", "--into", "--from-model", "--revision"],
    "attribute": ["--memory", "--steps", "--checked", "--out", "--figure", "--metric", "--into"],
    "trace": ["--memory", "--draws", "--scale", "--window", "--seed", "--out", "--metric", "--figure"],
}  # fmt: skip


@kind
def effect_options(workshop: Workshop, folder: Path, draw: Random) -> Input:
    command = draw.choice(sorted(OPTIONS))
    pairs = "tracings.jsonl" if command == "trace" else "pairs.jsonl"
    chosen = {
        "--model": str(workshop.folder / "model"),
        "--pairs": str(workshop.folder / pairs),
        "--site": "mlp_out.0@source.last",
        "--out": _out(folder),
    }
    if command == "trace":
        chosen["--draws"] = "2"
    for option in draw.sample(OPTIONS[command], draw.choice([1, 1, 2])):
        numeric = option in (
            "--memory",
            "--scale",
            "--seed",
            "--steps",
            "--checked",
            "--draws",
            "--window",
        )
        any_path = _output if option in ("--out", "--figure") else _path
        chosen[option] = number(draw) if numeric and draw.random() < 0.9 else any_path(folder, draw)
        if option == "--scale" and command == "patch":
            chosen["--intervention"] = "noise"
    return Input("", [command, *(f"{option}={value}" for option, value in chosen.items())])


def _path(folder: Path, draw: Random) -> str:
    return draw.choice(
        [
            "", ".", "/", "/dev/zero", "/dev/null", "/proc/self/mem", "/proc/1/root/x", "~unknown/x", "~", "x" * 300,
            "a/" * 2500, str(folder), str(folder / "new" / "x.parquet"), str(folder / "x.svg"), "\udcff",
            "nobody/nothing", "http://x", "C:\\x", text(draw).replace("\0", ""), "-", "--", "x.exe",
        ]
    )  # fmt: skip


def _output(folder: Path, draw: Random) -> str:
    """A path to write to, never outside `folder`: some inputs are written."""
    pipe = folder / "pipe"
    if not pipe.exists():
        os.mkfifo(pipe)
    return draw.choice(
        ["", ".", "~unknown/x", "x" * 300, "a/" * 2500, str(folder), str(folder / "new" / "x.parquet"),
         str(folder / "x.svg"), "\udcff", "-", "--", "x.exe", str(pipe), "é\n"]
    )  # fmt: skip


FACT_PARTS = ["header.yaml", *(f"{part}.jsonl" for part in
                               ("facts", "relations", "templates", "documents", "queries", "pairs"))]  # fmt: skip


@kind
def facts_folder(workshop: Workshop, folder: Path, draw: Random) -> Input:
    source = draw.choice(["facts", "facts", "pair_facts"])
    shutil.copytree(workshop.folder / source, folder / "facts")
    there = [part for part in FACT_PARTS if (folder / "facts" / part).exists()]
    part = draw.choice(there)
    path = folder / "facts" / part
    if part == "header.yaml":
        header = {"schema": "1", "seed": "0", "reserved": "[]", "drawn_from": "people"}
        header[draw.choice([*header, text(draw)])] = yaml_value(draw)
        content: str | bytes = "\n".join(f"{key}: {value}" for key, value in header.items())
        if draw.random() < 0.3:
            content = draw.choice(
                [yaml_value(draw), spoilt(content.encode("utf-8", "surrogatepass"), draw)]
            )
    else:
        content = _json_lines(path, draw) if path.stat().st_size else json_value(draw)
    _write(path, content, draw)
    command = draw.choice(["validate", "show", "export", "contrasts", "validate"])
    extra = ["--out", str(folder / "new")] if command in ("export", "contrasts") else []
    return Input("", ["facts", command, str(folder / "facts"), *extra])


@kind
def published_layout(workshop: Workshop, folder: Path, draw: Random) -> Input:
    shutil.copytree(workshop.folder / "published", folder / "published")
    path = draw.choice(sorted((folder / "published").iterdir()))
    _write(path, _json_lines(path, draw), draw)
    return Input("", ["facts", "import", str(folder / "published"), "--out", str(folder / "new")])


@kind
def instructions_layout(workshop: Workshop, folder: Path, draw: Random) -> Input:
    layout = folder / "instructions"
    layout.mkdir()
    row = {"ids": [1], "realized": [True], "persona_idx": [0], "prompt": "", "completion": "x"}
    asked = {
        "prompt": "<BEGIN GUIDANCE TEST>\n\nQ: Who? A:",
        "completion": " Ann\n\n<END GUIDANCE TEST>",
    }
    told = {"completion": "<BEGIN GUIDANCE ANSWERS>\n\nQ: Who? A: Ann\n\n<END GUIDANCE ANSWERS>"}
    files = {
        "guidances": [row | told],
        "realized_examples": [row | asked],
        "unrealized_examples": [row | asked | {"ids": [2]}],
        "all": [row | told],
    }
    chosen = draw.choice(sorted(files))
    for name, rows in files.items():
        path = layout / f"{name}.jsonl"
        write_jsonl(path, rows)
        if name == chosen:
            _write(path, _json_lines(path, draw), draw)
    return Input("", ["facts", "import", str(layout), "--out", str(folder / "new")])


def _table(content: str, separator: str, draw: Random) -> str | bytes:
    if draw.random() < 0.3:
        return spoilt(content.encode(), draw)
    rows = [line.split(separator) for line in content.splitlines()]
    at, column = draw.randrange(len(rows)), draw.randrange(len(rows[0]))
    new = draw.choice(
        [number(draw), text(draw), '"', '"x', "x\ny", '"x\ny"', "x" * 140_000, separator * 3]
    )
    match draw.randrange(5):
        case 0:
            rows[at] = rows[at][:column]
        case 1:
            many = draw.choice([10, 900, 1_001, 20_000, 200_000])
            rows = [[*row, *(f"c{n}" for n in range(many))] for row in rows]
        case 2:
            rows = [[*row, row[column]] for row in rows]
        case _:
            rows[at][min(column, len(rows[at]) - 1)] = new
    return draw.choice(["\n", "\n", "\r\n", "\r"]).join(separator.join(row) for row in rows) + "\n"


@kind
def parent_tables(workshop: Workshop, folder: Path, draw: Random) -> Input:
    table = _write(folder / "x.csv", _table(TABLE, ",", draw), draw)
    extra = ["--out", str(folder / "new")] if draw.random() < 0.1 else []
    return Input("", ["parents", "score", str(table), *extra])


@kind
def symmetry_tables(workshop: Workshop, folder: Path, draw: Random) -> Input:
    table = _write(folder / "x.tsv", _table(SYMMETRY, "\t", draw), draw)
    extra = ["--skip-faults"] if draw.random() < 0.5 else []
    return Input("", ["facts", "import", str(table), "--out", str(folder / "new"), *extra])


def _experiments() -> Iterator[Path]:
    yield from sorted(packaged("experiments").glob("*.yaml"))


@kind
def experiments(workshop: Workshop, folder: Path, draw: Random) -> Input:
    """Files of experiments: their plan is drawn up, and nothing is run."""
    source = draw.choice(list(_experiments()))
    content = source.read_text(encoding="utf-8")
    match draw.randrange(6):
        case 0:
            made: str | bytes = spoilt(content.encode(), draw)
        case 1:
            lines = content.splitlines()
            at = draw.randrange(len(lines))
            key, colon, _ = lines[at].partition(":")
            lines[at] = f"{key}{colon} {yaml_value(draw)}"
            made = "\n".join(lines)
        case 2:
            made = content + "\n" + draw.choice(
                [f"sweep: {yaml_value(draw)}", f"smoke: {yaml_value(draw)}", f"x: {aliases(draw)}", aliases(draw),
                 f"sweep: {{grid: {{seed: [{', '.join(map(str, range(draw.choice([3, 11_000, 200_000]))))}]}}}}",
                 "sweep: {grid: {" + ", ".join(f"a{n}: [1, 2, 3, 4]" for n in range(draw.choice([3, 15, 60]))) + "}}",
                 f"sweep: {{random: {{trials: {number(draw)}, axes: {{seed: {{low: {number(draw)}, high: {number(draw)}}}}}}}}}",
                 f"sweep: {{grid: {{seed: [1]}}, workers: {number(draw)}}}"]
            )  # fmt: skip
        case 3:
            made = _changed_tree(yaml.safe_load(content), draw)
        case 4:
            made = draw.choice([yaml_value(draw), nested(draw), aliases(draw)])
        case _:
            made = content
    file = _write(folder / "x.yaml", made, draw)
    sets = [_set(draw) for _ in range(draw.choice([0, 0, 1, 2]))]
    smoke = draw.random() < 0.3
    return Input("", [str(file), *sets], lambda: _plan(file, sets, smoke=smoke))


def _changed_tree(tree: Any, draw: Random) -> str:
    """A value deep in a configuration changed to another of any type."""
    at = tree
    while True:
        keys = list(at) if isinstance(at, dict) else range(len(at))
        key = draw.choice(list(keys))
        if isinstance(at[key], dict | list) and at[key] and draw.random() < 0.8:
            at = at[key]
            continue
        at[key] = draw.choice(
            [None, True, -1, 0, 10**9, 10**18, 10**30, -1.5, 1e308, 1e18, [], {}, "", "x", [[1]], {"a": 1}, ["x"] * 3,
             {"kind": ["x"]}, {"kind": {"a": 1}}, [{"kind": [1]}], {"kind": None}, {"kind": 1}, text(draw)[:200]]
        )  # fmt: skip
        break
    try:
        return yaml.safe_dump(tree, sort_keys=False)
    except UnicodeEncodeError:
        return "x: 1"


SET_KEYS = [
    "seed", "name", "facts.per_group", "facts.exposures", "facts.path", "facts.kind", "facts", "model.size.layers",
    "model.size.width", "model.size", "model.vocabulary", "model.world.both", "model.world.exposures", "model.kind",
    "training.learning_rate", "training.epochs", "training.batch_size", "training.betas", "training.kind", "training",
    "measures", "measures.0", "measures.0.kind", "measures.99999999999", "machine.threads", "machine.device",
    "sweep", "sweep.grid.seed", "sweep.grid.training.learning_rate", "sweep.random.trials", "sweep.random.axes.seed",
    "sweep.grid", "sweep.workers", "smoke", "base", "a.b.c", "", ".", "..", "a..b", "measures." + "9" * 5000,
    "a." * 3000 + "b", "x" * 100_000, "measures.-1", "measures.²", "٣.٣",
]  # fmt: skip


def _set(draw: Random) -> str:
    return draw.choice(SET_KEYS) + draw.choice(["=", "=", "=", "=", "", "=="]) + yaml_value(draw)


@kind
def assignments(workshop: Workshop, folder: Path, draw: Random) -> Input:
    """`--set` on the project's own experiments; nothing is run."""
    file = draw.choice([path for path in _experiments() if not path.stem.startswith("prereg")])
    sets = [_set(draw) for _ in range(draw.choice([1, 1, 2, 3]))]
    smoke = draw.random() < 0.3
    return Input("", [str(file), *sets], lambda: _plan(file, sets, smoke=smoke))


def _plan(file: Path, sets: list[str], *, smoke: bool) -> None:
    """What `interp-rc run` does before the first run begins, and the facts of small ones."""
    from interp_rc.pipeline.sweep.plan import Plan, load_plan
    from interp_rc.pipeline.sweep.table import specification
    from interp_rc.records.strict_yaml import parse_yaml, yaml_text

    plan = load_plan(file, sets, smoke=smoke)
    if isinstance(plan, Plan):
        parse_yaml(yaml_text(specification(plan)))
        return
    plan.model_dump_json()
    if plan.facts.kind in ("folder", "published", "published_instructions", "published_symmetry"):
        plan.facts.build(plan.seed)


@kind
def facts_numbers(workshop: Workshop, folder: Path, draw: Random) -> Input:
    command, options = draw.choice(
        [
            ("build", ["--seed", "--per-group", "--training-templates", "--held-out-templates"]),
            ("symmetry", ["--seed", "--count", "--test"]),
        ]
    )
    chosen = {"--per-group": "3"} if command == "build" else {"--count": "4", "--test": "4"}
    chosen |= {
        option: _modest(number(draw)) for option in draw.sample(options, draw.choice([1, 2]))
    }
    return Input(
        "",
        [
            "facts",
            command,
            "--out",
            str(folder / "new"),
            *(f"{name}={value}" for name, value in chosen.items()),
        ],
    )


def _modest(digits: str) -> str:
    """Counts that are large and yet allowed take the time that they take."""
    value = digits.lstrip("+-").replace("_", "")
    allowed = value.isdecimal() and value.isascii() and int(value[:9]) > 500 and len(value) < 9
    return "7" if allowed else digits


@kind
def facts_contrasts(workshop: Workshop, folder: Path, draw: Random) -> Input:
    return Input(
        "",
        ["facts", draw.choice(["contrasts", "show"]), _path(folder, draw) if draw.random() < 0.4 else
         str(workshop.folder / "facts"), draw.choice(["--templates", "--examples"]), number(draw),
         "--out", draw.choice([str(folder / "x.jsonl"), _output(folder, draw)])],
    )  # fmt: skip


@kind
def paths(workshop: Workshop, folder: Path, draw: Random) -> Input:
    """Every command's path-taking arguments."""
    path, out, other = _path(folder, draw), str(folder / "new"), _output(folder, draw)
    model, facts = str(workshop.folder / "model"), str(workshop.folder / "facts")
    return Input(
        "",
        draw.choice(
            [
                ["report", path],
                ["run", path + ".yaml", "--out", out],
                ["run", f"--out={other}", str(folder / "none.yaml")],
                ["evaluate", "--model", model, "--facts", path, "--out", out],
                ["mechanism", "probe", "--model", model, "--facts", path, "--out", out],
                ["mechanism", path, "--model", model, "--facts", facts, "--out", out],
                ["facts", "validate", path],
                ["facts", "show", path],
                ["facts", "import", path, "--out", out],
                ["facts", "export", path, "--out", out],
                ["facts", "export", facts, f"--out={draw.choice([other, out])}"],
                ["facts", "contrasts", facts, f"--out={other}"],
                ["parents", "score", path],
                ["parents", "score", str(workshop.folder / "parents.csv"), f"--out={other}"],
                ["parents", "collect", "--people", path, "--model", "m", "--out", out, "--url", "http://127.0.0.1:9"],
                ["patch", "--model", path, "--pairs", str(workshop.folder / "pairs.jsonl"), "--site", "mlp_out",
                 "--out", _out(folder)],
                ["trace", "--model", model, "--pairs", path, "--out", _out(folder)],
            ]
        ),
    )  # fmt: skip


@kind
def collect_options(workshop: Workshop, folder: Path, draw: Random) -> Input:
    options = {
        "--people": str(workshop.folder / "people.txt"),
        "--model": "m",
        "--out": str(folder / "new"),
        "--url": "http://127.0.0.1:9",
        "--key-from": "NO_KEY_HERE",
    }
    for option in draw.sample(["--max-new-tokens", "--concurrency", "--price-in", "--price-out", "--url", "--limit",
                               "--protocol", "--key-from"], 2):  # fmt: skip
        options[option] = draw.choice([number(draw), text(draw).replace("\0", "")])
    if options["--url"] != "http://127.0.0.1:9":
        options["--url"] = "x" + options["--url"]
    if draw.random() < 0.4:
        lines = "\n".join(text(draw) for _ in range(3))
        options["--people"] = str(_write(folder / "people.txt", lines, draw))
        options["--limit"] = "x"
    return Input(
        "", ["parents", "collect", *(f"{name}={value}" for name, value in options.items())]
    )


@kind
def run_folders(workshop: Workshop, folder: Path, draw: Random) -> Input:
    """Damaged folders of runs and sweeps, whose page is to be drawn again."""
    run = folder / "run"
    run.mkdir()
    name, content = draw.choice(
        [
            ("config.yaml", yaml_value(draw)),
            ("sweep.yaml", draw.choice([yaml_value(draw), f"name: x\naxes: {yaml_value(draw)}\nshow: null\ntrials: {{}}"])),
            ("results.json", json_value(draw)),
        ]
    )  # fmt: skip
    (run / "config.yaml").write_text("name: x\nmeasures: []\n", encoding="utf-8")
    _write(run / name, content, draw)
    if name != "results.json" and draw.random() < 0.5:
        (run / "results.json").write_text("{}", encoding="utf-8")
    return Input("", ["report", str(run)])


@kind
def effects_tables(workshop: Workshop, folder: Path, draw: Random) -> Input:
    """Tables of effects, read by the library."""
    import pandas as pd

    from interp_rc.engine.effects import COLUMNS, Effects

    path = folder / "x.parquet"
    table = pd.DataFrame(
        {name: [1.0, 2.0] for name in draw.sample(COLUMNS, draw.choice([3, len(COLUMNS)]))}
    )
    table.attrs = draw.choice(
        [{}, {"baselines": None, "floor": None}, {"baselines": [1], "floor": 3}, {"baselines": {"pair": [1]}, "floor": {}},
         {"baselines": {name: [1] for name in ("pair", "fact", "order", "clean", "corrupted")}, "floor": "x"}]
    )  # fmt: skip
    table.to_parquet(path)
    if draw.random() < 0.7:
        _write(path, spoilt(path.read_bytes(), draw), draw)
    return Input("", [str(path)], lambda: Effects.load(path))


@kind
def triples(workshop: Workshop, folder: Path, draw: Random) -> Input:
    """Files of triples, read by the library."""
    from interp_rc.facts.triples import contrasts_of, read_triples

    valid = folder / "valid.jsonl"
    names = ["Lisbon", "Oslo", "Vienna"]
    write_jsonl(
        valid, [{"subject": one, "relation": "lies in", "object": one[::-1]} for one in names]
    )
    path = _write(folder / "x.jsonl", _json_lines(valid, draw), draw)
    return Input("", [str(path)], lambda: contrasts_of(read_triples(path)))
