"""The house: what may import what, and what every module has."""

import ast
import importlib.util
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import interp_rc
from interp_rc.measures.registry import MEASURES

ROOT = Path(interp_rc.__file__).parent
FLOORS = [
    {"records", "stats", "display", "facts"},
    {"models"},
    {"training"},
    {"engine"},
    {"evaluation", "tools", "theory"},
    {"measures"},
    {"report"},
    {"pipeline"},
    {"cli"},
]
FLOOR = {name: level for level, names in enumerate(FLOORS) for name in names}


def module_of(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported(tree):
    """Dotted names of everything imported, wherever in the file; a relative import as a dot."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield "."
            else:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def nearest_module(name):
    """The module that holds an imported name; None if it is not ours."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


def imports_of(tree):
    return {found for name in imported(tree) if (found := nearest_module(name))}


def package_of(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else None


TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def breaches(module, names):
    """What `module` imports although it stands above it or beside it."""
    here = package_of(module)
    found = []
    for name in names:
        there = package_of(name)
        if there in (None, here):
            continue  # the version of the whole package, or a neighbour within a package
        above = here is None or here == "records" or FLOOR[there] > FLOOR[here]
        if above or (FLOOR[there] == FLOOR[here] and there != "records"):
            found.append(name)
    return found


def test_every_package_has_a_floor_and_there_is_no_other():
    found = {package_of(name) for name in MODULES} - {None}
    assert found <= set(FLOOR)
    assert not {name for name in MODULES if "utils" in name}
    assert {path.name for path in ROOT.glob("*.py")} <= {"__init__.py"}


def test_nothing_is_imported_from_above_or_from_beside():
    assert [
        (module, name)
        for module, tree in TREES.items()
        for name in breaches(module, imports_of(tree))
    ] == []


@pytest.mark.parametrize(
    ("module", "imports", "allowed"),
    [
        ("interp_rc.models.load", "interp_rc.training.base", False),
        ("interp_rc.facts.world", "interp_rc.stats.power", False),
        ("interp_rc.stats.power", "interp_rc.records.numbers", True),
        ("interp_rc.records.files", "interp_rc.facts.world", False),
        ("interp_rc.models.load", "interp_rc.facts.world", True),
        ("interp_rc.models.load", "interp_rc.models.build", True),
        ("interp_rc.pipeline.run", "interp_rc.cli", False),
        ("interp_rc.records.environment", "interp_rc", True),
        ("interp_rc", "interp_rc.cli", False),
    ],
)
def test_the_rule_itself(module, imports, allowed):
    assert (breaches(module, [imports]) == []) == allowed


def test_nothing_is_imported_in_a_circle():
    graph = {name: imports_of(tree) - {name, "interp_rc"} for name, tree in TREES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
    packages = {}
    for name, names in graph.items():
        if here := package_of(name):
            packages.setdefault(here, set()).update(package_of(other) for other in names)
    for here, others in packages.items():
        others.discard(here)
    TopologicalSorter(packages).prepare()


def is_of_the_page(module):
    """Whether it is drawn by: the page itself, its vocabulary, or a measure's part of it."""
    part = module.rpartition(".")[2].startswith("section")
    return package_of(module) in ("report", "display") or (measure_of(module) is not None and part)


def test_a_page_computes_no_statistics():
    """What it shows of `stats` a measure has found, so that it stands in the results."""
    pages = {name: tree for name, tree in TREES.items() if "." in name and is_of_the_page(name)}
    assert [
        (module, name)
        for module, tree in pages.items()
        for name in imports_of(tree)
        if package_of(name) == "stats"
    ] == []
    assert len(pages) > 50


def measure_of(module):
    """The kind of measure whose folder holds a module; None for what measures share."""
    parts = module.split(".")
    return parts[2] if parts[1:2] == ["measures"] and len(parts) > 3 else None


def test_a_measure_is_imported_by_the_registry_alone():
    """No measure imports another: to add one is to add a folder and a line."""
    assert [
        (module, name)
        for module, tree in TREES.items()
        for name in imports_of(tree)
        if measure_of(name) not in (None, measure_of(module))
    ] == []
    folders = {path.parent.name for path in ROOT.glob("measures/*/measure.py")}
    assert folders == set(MEASURES)
    assert sum(measure_of(module) is not None for module in TREES) > 50


def test_imports_are_absolute():
    assert [module for module, tree in TREES.items() if "." in imported(tree)] == []


def test_every_module_says_what_it_is_for():
    assert [module for module, tree in TREES.items() if not ast.get_docstring(tree)] == []


def test_nothing_is_left_to_be_written():
    names = {
        module: {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        for module, tree in TREES.items()
    }
    assert [module for module, used in names.items() if "NotImplementedError" in used] == []
    assert any("RunError" in used for used in names.values())  # names are found at all


def test_torchvision_is_absent_or_works():
    """Transformers imports it when it is there, and fails with it when it is broken."""
    if importlib.util.find_spec("torchvision") is not None:
        importlib.import_module("torchvision")
