"""The notebook's cells run, and what `interp_rc` itself offers is there when it is asked for."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import interp_rc as rc
from interp_rc.models.load import save
from interp_rc.records.errors import DataError

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOK = json.loads((EXAMPLES / "first_map.ipynb").read_text(encoding="utf-8"))


def cells():
    return ["".join(c["source"]) for c in NOTEBOOK["cells"] if c["cell_type"] == "code"]


def test_the_notebook_runs(taught, tmp_path, monkeypatch):
    """On a small model in a folder of the hub's name."""
    monkeypatch.chdir(tmp_path)
    save(taught["gpt_neox"], tmp_path / "EleutherAI" / "pythia-160m")
    shutil.copy(EXAMPLES / "facts.jsonl", tmp_path)
    names, shown = {}, []
    for cell in cells():
        cell = cell.replace("*x5", "*")  # two layers have no windows of five
        *lines, last = ast.parse(cell).body
        exec(compile(ast.Module(lines, []), "cell", "exec"), names)
        shown.append(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
    drawn, estimates, traced = shown
    for figure in (drawn, traced):
        assert figure._repr_png_().startswith(b"\x89PNG")
    effects = names["effects"]
    assert len(effects.baselines) == len((EXAMPLES / "facts.jsonl").read_text().splitlines())
    assert set(effects.table.site) == {"resid_post", "mlp_out"}
    assert effects.table.effect.abs().max() > 0.01
    assert len(estimates) == 5


def test_it_takes_five_statements_and_the_import():
    imports, *lines, shown = ast.parse(cells()[0]).body
    assert isinstance(imports, ast.Import)
    assert isinstance(shown, ast.Expr)
    assert len(lines) <= 4


def test_the_notebook_holds_no_outputs():
    assert not any(c.get("outputs") or c.get("execution_count") for c in NOTEBOOK["cells"])


def test_positions_of_unequal_prompts_are_refused_with_the_spans_that_are_there(taught):
    contrasts = rc.contrasts_of(rc.read_triples(EXAMPLES / "facts.jsonl"))
    with pytest.raises(
        DataError, match=r"name a span instead \(it has A, B, prompt, source\), e\.g"
    ):
        rc.sites(taught["llama"], contrasts, "resid_post")


def test_everything_offered_is_there_and_typed():
    stub = ast.parse((Path(rc.__file__).parent / "__init__.pyi").read_text())
    typed = {}
    for node in stub.body:
        if isinstance(node, ast.ImportFrom):
            typed |= {n.asname or n.name: (node.module, n.name) for n in node.names}
    assert typed == rc._WHERE
    for name in rc.__all__:
        assert getattr(rc, name) is not None
        assert name in dir(rc)
    with pytest.raises(AttributeError, match="no attribute 'pitch'"):
        rc.pitch  # noqa: B018


def test_nothing_is_imported_before_it_is_used():
    code = "import sys, interp_rc; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "pandas", "numpy", "transformers"} & set(done.stdout.split())
