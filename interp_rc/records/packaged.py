"""Where this project's own `data/` and `experiments/` are: in a wheel, or beside the package."""

from pathlib import Path
from typing import Literal

from interp_rc.records.errors import InterpError


def packaged(folder: Literal["data", "experiments"]) -> Path:
    """The folder inside the installed package or, in an editable install, next to it."""
    package = Path(__file__).resolve().parents[1]
    for place in (package / folder, package.parent / folder):
        if place.is_dir():
            return place
    raise InterpError(f"{folder}/ is missing beside {package}; install interp-rc again")
