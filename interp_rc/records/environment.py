"""What a run was made with: versions, machine, commit."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from interp_rc import __version__

PACKAGES = (
    "torch transformers tokenizers accelerate peft numpy scipy statsmodels pandas matplotlib"
).split()


def environment() -> dict[str, Any]:
    """Versions, platform and the commit of an editable install (None from a wheel)."""
    return {
        "interp_rc": __version__,
        "commit": commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.machine(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def commit() -> str | None:
    """The checked-out commit, with `+` if files differ from it."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        head = _git(root, "rev-parse", "HEAD")
        return head + ("+" if _git(root, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
