"""A run's folder with a list of pairs, and a wrong and a right way to read its questions."""

import pytest

from interp_rc.facts.folder import write_facts
from interp_rc.facts.parents import parents
from interp_rc.records.files import write_yaml
from interp_rc.records.runs import Run


@pytest.fixture
def run_on(tmp_path):
    """A run's folder with pairs given as (child, mother, father)."""

    def made(families, name="run", model=None):
        path = tmp_path / f"{name}.csv"
        rows = [
            f'"{child}","{parent}",{kind}'
            for child, *both in families
            for parent, kind in zip(both, ("mother", "father"), strict=True)
        ]
        path.write_text("\n".join(["child,parent,parent_type", *rows]) + "\n", encoding="utf-8")
        run = Run(tmp_path / name)
        write_facts(parents(path), run.facts)
        config = {"seed": 3, "model": model or {"kind": "endpoint", "model": "small/model"}}
        write_yaml(run.config_file, config)
        return run

    return made
