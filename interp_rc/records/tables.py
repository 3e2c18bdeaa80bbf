"""Tables of comma-separated values and of parquet, within bounds; DataError names the place."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from interp_rc.records.errors import DataError
from interp_rc.records.reading import opened, read_bytes

if TYPE_CHECKING:
    import pandas as pd

MOST_COLUMNS = 1_000
MOST_CELLS = 2**28


def read_csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the cells of every row of a CSV file, and the line it begins in.

    Bytes that are no UTF-8 stay lone surrogates here, so that only their rows are refused. Raises
    DataError for a file that cannot be read, quotes that do not close, and more than `MOST_COLUMNS`
    cells in a row.
    """
    text = read_bytes(path).decode("utf-8-sig", errors="surrogateescape")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"is not CSV ({error}); mend the quotes of that row", file=path, line=line
            ) from None
        if len(cells) > MOST_COLUMNS:
            raise DataError(
                f"has {len(cells):,} columns, and {MOST_COLUMNS:,} are the most; give fewer",
                file=path,
                line=line,
            )
        if cells:
            yield line, cells
        line = reader.line_num + 1


def read_parquet(path: Path) -> "pd.DataFrame":
    """Read a parquet table with the metadata that pandas kept in it.

    Raises DataError for what is no such file, is damaged, or says that it holds more than
    `MOST_CELLS` cells: a file of a few kilobytes can unfold to more than any memory.
    """
    import pyarrow as pa
    from pyarrow import parquet

    with opened(path) as file:
        try:
            there = parquet.ParquetFile(file)
            cells = there.metadata.num_rows * there.metadata.num_columns
            if cells > MOST_CELLS:
                raise DataError(
                    f"says that it holds {cells:,} cells, and {MOST_CELLS:,} are the most that is "
                    "read; give a smaller table",
                    file=path,
                )
            return there.read().to_pandas()
        except (pa.ArrowException, OSError, ValueError, TypeError, LookupError) as error:
            raise DataError(
                f"is no parquet table that can be read ({error!s:.200})", file=path
            ) from None
