"""Read CSV files, packed or not, as text."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from features.batches import BadRow, Source, check_columns, name_apart, number_rows
from features.encoding import find_encoding
from project.errors import SchemaError, SettingsError, StorageError
from project.files import hash_file

if TYPE_CHECKING:
    import pyarrow as pa

    from project.source_settings import SourceSettings

__all__ = ["open_csv", "read_header"]

_BLOCK_BYTES = 8 << 20
_DELIMITERS = ",;\t|"
_LONGEST_HEADER = 50  # lines; more than that is a stray quote, not a header
_ROWS_TO_COMPARE, _ALIKE = 20, 0.5


def read_header(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> tuple[list[str], str]:
    """Return the header cells of a CSV file and the delimiter that splits them.

    Without a declared delimiter it is the one of comma, semicolon, tab and bar that Excel's `sep=` line names, or that
    splits the header into most cells and the rows under it alike. Headers that stand there twice are numbered.
    """
    cells, mark, _ = _parse_header(path, encoding or find_encoding(path), delimiter)
    return cells, mark


def _parse_header(path: Path, encoding: str, delimiter: str | None) -> tuple[list[str], str, int]:
    """Return cells, delimiter, and how many lines stand before the first row: a quoted cell may hold line breaks."""
    try:
        with _open_text(path, encoding) as file:
            first = file.readline().strip('\ufeff\r\n "').lower()
        before = 1 if re.fullmatch(r"sep=.", first) else 0
        marks = [delimiter] if delimiter else [first[-1]] if before else list(_DELIMITERS)
        found = [(*_split_header(path, encoding, mark, before=before), mark) for mark in marks]
    except UnicodeDecodeError as error:
        raise _wrong_encoding(path, encoding) from error
    except (TypeError, ValueError) as error:
        raise SettingsError(
            f"{path.name}: {delimiter!r} cannot be a delimiter ({error}). Correct it in leads.toml."
        ) from error
    except csv.Error as error:
        raise SchemaError(f"{path.name}: its header cannot be read as CSV ({error}).") from error
    except LookupError as error:
        raise SettingsError(f"{path.name}: encoding {encoding!r} is unknown; write utf-8 or cp1251.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise StorageError(f"{path}: cannot be read ({error}). Is it whole?") from error
    cells, lines, _, mark = max(found, key=lambda entry: (len(entry[0]) > 1 and entry[2], len(entry[0])))
    return name_apart(cells), mark, lines


def _split_header(path: Path, encoding: str, mark: str, *, before: int) -> tuple[list[str], int, bool]:
    """Return the header's cells, its lines, and the share of the rows under it with as many cells."""
    with _open_text(path, encoding) as file:
        for _ in range(before):
            file.readline()
        reader = csv.reader(file, delimiter=mark)
        cells = next(reader, [])
        lines = reader.line_num
        rows: list[list[str]] = []
        with suppress(csv.Error):  # a long cell is no fault of the header
            rows += (row for row in islice(reader, _ROWS_TO_COMPARE) if row and lines <= _LONGEST_HEADER)
    if lines > _LONGEST_HEADER:
        with _open_text(path, encoding) as file:
            text = [file.readline() for _ in range(before + 1)][-1]
        cells, lines = text.rstrip("\r\n").split(mark), 1
    alike = sum(len(row) == len(cells) for row in rows) / len(rows) if rows else 1.0
    return [cell.strip() for cell in cells], before + max(1, lines), alike > _ALIKE


def _open_text(path: Path, encoding: str) -> IO[str]:
    known = "utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding=known, newline="")
    return path.open(encoding=known, newline="")


def _wrong_encoding(path: Path, encoding: str) -> SchemaError:
    cure = 'Set encoding = "cp1251" (or what it is) for it in leads.toml.'
    return SchemaError(f"{path.name}: holds bytes that are not {encoding}. {cure}")


def open_csv(path: Path, settings: SourceSettings, wanted: Sequence[str]) -> Source:
    """Open a CSV file, or one packed with gzip, for the wanted columns."""
    from pyarrow import csv as arrow_csv
    from pyarrow import lib, string

    encoding = settings.encoding or find_encoding(path)
    header, delimiter, lines = _parse_header(path, encoding, settings.delimiter)
    check_columns(path.name, header, wanted)
    positions = {column: f"f{header.index(column)}" for column in wanted}
    source = Source(path.name, tuple(header), iter(()), data_hash=hash_file(path), written=True)

    def set_aside(row: lib.InvalidRow) -> str:
        number = int(row.number) - lines + 1
        if not row.text.strip():
            source.blank_rows.append(number)
            return "skip"
        reason = f"row: {row.actual_columns} cells where the header has {row.expected_columns}"
        source.bad_rows.append(BadRow(number, row.text, reason))
        return "skip"

    def read() -> Iterator[pa.Table]:
        reader = arrow_csv.open_csv(
            path,
            read_options=arrow_csv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK_BYTES,
                encoding=encoding,
                column_names=[f"f{place}" for place in range(len(header))],
                skip_rows=lines,
            ),
            parse_options=arrow_csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, ignore_empty_lines=False, invalid_row_handler=set_aside
            ),
            convert_options=arrow_csv.ConvertOptions(
                column_types={place: string() for place in positions.values()},
                include_columns=list(positions.values()),
                strings_can_be_null=False,
            ),
        )
        seen = 0
        for batch in reader:
            left_out = [*source.blank_rows, *(bad.row for bad in source.bad_rows)]
            yield _drop_blank(number_rows(batch, list(positions), first=seen, left_out=left_out))
            seen += batch.num_rows

    source.batches = _translate_errors(read(), path, encoding)
    return source


def _drop_blank(table: pa.Table) -> pa.Table:
    """Drop rows in which every wanted cell is empty: blank lines, which still count as rows of the file."""
    from functools import reduce

    from pyarrow import compute

    if table.num_columns < 2:
        return table
    filled = (compute.not_equal(table.column(place), "") for place in range(table.num_columns - 1))
    return table.filter(reduce(compute.or_, filled))


def _translate_errors(batches: Iterator[pa.Table], path: Path, encoding: str) -> Iterator[pa.Table]:
    from pyarrow import ArrowInvalid

    try:
        yield from batches
    except (ArrowInvalid, UnicodeDecodeError) as error:
        if isinstance(error, UnicodeDecodeError) or "UTF8" in str(error):
            raise _wrong_encoding(path, encoding) from error
        if "Empty CSV" in str(error) or "Could not skip initial" in str(error):
            return
        raise SchemaError(f"{path.name}: cannot be read as CSV: {error}.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise StorageError(f"{path}: cannot be read ({error}). Is it whole?") from error
