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
        return {mark: files for mark, files in parts.items() if (self.folder / mark).exists()}

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
        if file.is_file() and digest_of(file) == digest:
            return
        what = "is not what was written (changed or damaged)" if file.is_file() else "is missing"
        raise RunError(
            f"{file} {what}; put it back, or delete {self.also.get(mark, mark)} in {self.folder} "
            "and continue with --resume"
        )


def write_sealed_yaml(path: Path, value: Any) -> None:
    """Write YAML whose first line, a comment, holds the digest of the others."""
    text = yaml_text(value)
    write_text(path, f"{SEAL}{_digest(text)}\n{text}")


def check_seal(path: Path) -> None:
    """Raises RunError if a file is not what was sealed; one without a seal is taken."""
    seal, _, text = read_text(path).partition("\n")
    if seal.startswith(SEAL) and seal != f"{SEAL}{_digest(text)}":
        raise RunError(
            f"{path} is not what was written (changed or damaged); put it back, or choose another "
            "--out"
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
