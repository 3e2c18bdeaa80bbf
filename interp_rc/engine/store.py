"""What a sweep has found so far, on disk, batch after batch: a killed one continues there."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from interp_rc.models.load import Loaded
from interp_rc.records.disk import room_in
from interp_rc.records.errors import ConfigError
from interp_rc.records.files import write_json
from interp_rc.records.strict_json import read_json

WHAT = "sweep.json"


class Found(NamedTuple):
    """The metric after the intervention at one site of one contrast."""

    position: int | None
    value: float
    structural_zero: bool = False


class Swept(NamedTuple):
    """By case: the metric of the clean and of the corrupted run; by case and site: after the
    intervention."""

    known: dict[int, tuple[float, float]]
    found: dict[tuple[int, int], Found]


class OtherSweepError(ConfigError):
    """A folder that holds the results of another sweep."""


class Store:
    """A folder of one sweep's batches, made when there is one.

    Raises OtherSweepError if the folder holds those of another sweep: what is computed must be the
    same, to the last weight.
    """

    def __init__(self, folder: Path, what: Sequence[Any]) -> None:
        self.folder = folder
        self._digest = {"sweep": digest_of(what)}
        if (folder / WHAT).exists() and read_json(folder / WHAT) != self._digest:
            raise OtherSweepError(
                f"{folder} holds another sweep's results (other contrasts, sites, options or "
                "weights); remove it, or choose another place"
            )

    def read(self) -> Swept:
        swept = Swept({}, {})
        for path in sorted(self.folder.glob("batch-*.json")):
            batch = read_json(path)
            if not isinstance(batch, dict) or batch != _parts(batch) | _seal(_parts(batch)):
                raise ConfigError(f"{path} is not what was written; delete it and --resume again")
            swept.known.update({case: (clean, other) for case, clean, other in batch["known"]})
            swept.found.update({(case, site): Found(*rest) for case, site, *rest in batch["found"]})
        return swept

    def add(self, part: Swept) -> None:
        """One batch, whole or not at all."""
        batch = {
            "known": [[case, *ends] for case, ends in part.known.items()],
            "found": [[*key, *found] for key, found in part.found.items()],
        }
        with room_in(self.folder, "what was found so far", "run it again with --resume"):
            if not (self.folder / WHAT).exists():
                write_json(self.folder / WHAT, self._digest)
            write_json(self.folder / f"batch-{min(part.known):08}.json", batch | _seal(batch))


def _parts(batch: dict[str, Any]) -> dict[str, Any]:
    return {name: batch.get(name) for name in ("known", "found")}


def _seal(parts: dict[str, Any]) -> dict[str, str]:
    """A flipped byte changes numbers without a word."""
    return {"sha256": hashlib.sha256(json.dumps(parts).encode()).hexdigest()}


def digest_of(what: object) -> str:
    """Of anything that decides a sweep's numbers: texts, numbers, tensors, dataclasses, models."""
    found = hashlib.sha256()
    _update(found, what)
    return found.hexdigest()


def _update(found: Any, what: object) -> None:
    if isinstance(what, Loaded):
        found.update(what.tokenizer.backend_tokenizer.to_str().encode())
        found.update(what.model.config.to_json_string().encode())
        _update(found, what.model)
    elif isinstance(what, nn.Module):
        for name, value in what.state_dict().items():
            found.update(name.encode())
            _update(found, value)
    elif isinstance(what, Tensor):
        found.update(json.dumps([str(what.dtype), list(what.shape)]).encode())
        found.update(what.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    elif dataclasses.is_dataclass(what) and not isinstance(what, type):
        found.update(type(what).__name__.encode())
        for field in dataclasses.fields(what):
            _update(found, getattr(what, field.name))
    elif isinstance(what, (list, tuple)):
        found.update(b"[")
        for one in what:
            _update(found, one)
            found.update(b",")
        found.update(b"]")
    else:
        found.update(json.dumps(what).encode())
