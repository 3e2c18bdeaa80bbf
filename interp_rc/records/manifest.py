"""What the files of a folder were when they were written, so that a changed byte is noticed."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from interp_rc.records.errors import DataError, RunError
from interp_rc.records.files import write_json, write_text
from interp_rc.records.reading import read_text
from interp_rc.records.strict_json import read_json
from interp_rc.records.strict_yaml import yaml_text

FILE = "files.json"
SEAL = "# sha256 "


def digest_of(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def digests_of(folder: Path, paths: Iterable[Path]) -> dict[str, str]:
    """By name inside `folder`: the digest of each file, and of all files of each folder."""
    files = [
        file
        for path in paths
        for file in (sorted(path.rglob("*")) if path.is_dir() else [path])
        if file.is_file()
    ]
    return {file.relative_to(folder).as_posix(): digest_of(file) for file in files}


class Manifest:
    """The `files.json` of a folder: for each part of it that is finished, the digests of its files.

    A part is named by its mark, the file or folder whose presence says that it is finished; a part
    whose mark is gone is to be made again, and does not count.
    """

    def __init__(self, folder: Path, also: Mapping[str, str] | None = None) -> None:
        """`also` names, by mark, what else must be made again with a part."""
        self.folder, self.file, self.also = folder, folder / FILE, also or {}

    @property
    def there(self) -> bool:
        return self.file.is_file()

    def parts(self) -> dict[str, dict[str, str]]:
        """By mark, the digest of each file. Raises RunError for a damaged manifest."""
        return {mark: files for mark, files in self._all().items() if self._is_there(mark)}

    def gone(self) -> list[str]:
        """The marks of parts that were finished, and are no longer there."""
        return [mark for mark in self._all() if not self._is_there(mark)]

    def _is_there(self, mark: str) -> bool:
        return (self.folder / mark).exists()

    def _all(self) -> dict[str, dict[str, str]]:
        if not self.there:
            return {}
        try:
            parts: Any = read_json(self.file)
            if not all(isinstance(d, str) for files in parts.values() for d in files.values()):
                raise TypeError
        except (DataError, AttributeError, TypeError):
            raise RunError(
                f"{self.file} is damaged, so that nothing tells whether the other files are whole; "
                "put it back, or choose another --out"
            ) from None
        return dict(parts)

    def record(self, mark: str, *others: Path) -> None:
        """A part is finished: its mark and the `others` are whole."""
        files = digests_of(self.folder, [self.folder / mark, *others])
        write_json(self.file, self.parts() | {mark: files})

    def forget(self, mark: str) -> None:
        """A part is about to be made again."""
        parts = self.parts()
        if mark in parts or not self.there:
            write_json(self.file, {name: files for name, files in parts.items() if name != mark})

    def knows(self, mark: str) -> bool:
        return mark in self.parts()

    def check(self, *marks: str) -> None:
        """Raises RunError if a file of these parts, or of any, is not what was written."""
        for mark, files in self.parts().items():
            if not marks or mark in marks:
                for name, digest in files.items():
                    self._check(mark, name, digest)

    def check_file(self, file: Path) -> None:
        """Raises RunError if a file is not what was written; one that no part has is taken."""
        name = file.relative_to(self.folder).as_posix()
        for mark, files in self.parts().items():
            if name in files:
                self._check(mark, name, files[name])

    def _check(self, mark: str, name: str, digest: str) -> None:
        file = self.folder / name
        what = _unlike(file, digest)
        if what:
            raise RunError(
                f"{file} {what}; put it back, or delete {self.also.get(mark, mark)} in "
                f"{self.folder} and continue with --resume"
            )


def _unlike(file: Path, digest: str) -> str | None:
    """What is wrong with a file that was written with this digest."""
    if not file.is_file():
        return "is missing"
    return None if digest_of(file) == digest else "is not what was written (changed or damaged)"


def check_part(folder: Path) -> None:
    """Raises RunError if a folder is a part of a run, and its files are not what the run wrote."""
    folder = folder.resolve()
    for name, digest in Manifest(folder.parent).parts().get(folder.name, {}).items():
        file = folder.parent / name
        what = _unlike(file, digest)
        if what:
            raise RunError(
                f"{file} {what}; put it back, or, if that is meant, use a copy of {folder} outside "
                "the run"
            )


def write_sealed_yaml(path: Path, value: Any) -> None:
    """Write YAML whose first line, a comment, holds the digest of the others."""
    text = yaml_text(value)
    write_text(path, f"{SEAL}{_digest(text)}\n{text}")


def check_seal(path: Path) -> None:
    """Raises RunError if a file is not what was sealed; one without a seal is taken."""
    if not is_as_sealed(path):
        raise RunError(
            f"{path} is not what was written (changed or damaged); put it back, and give changes "
            "with --set or in a copy elsewhere; or choose another --out"
        )


def is_as_sealed(path: Path) -> bool:
    """Whether a file is what was sealed, or has no seal."""
    seal, _, text = read_text(path).partition("\n")
    return not seal.startswith(SEAL) or seal == f"{SEAL}{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
