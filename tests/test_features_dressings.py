"""The dressing test: one table, however a CRM exports it, becomes the same canonical tables, byte for byte."""

from __future__ import annotations

import csv
import gzip
import io
import sqlite3
import zipfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape

import pyarrow as pa
import pytest
from pyarrow import parquet

from features.ingest import read_tables
from features.sources import open_source
from project.errors import SchemaError
from project.source_settings import SourceSettings
from worlds import lines, make_project

HEADER = ("ИД", "Создан", "Бюджет", "Доля", "Город", "Компания")
CREATED = [datetime(2024, 3, day, 9 + day % 8, 5 * day % 60, tzinfo=UTC) for day in (1, 2, 13, 25, 31)]
BUDGET = (1234567.5, 0.25, -1200.0, 99.99, 1000.0)
SHARE = (0.125, 0.071, 1.0, 0.0, 0.5)
CITY = ("Санкт-Петербург", "Ёлки; палки, «Юг»", "две\nстроки", "", "Москва")
COMPANY = ("NA", 'ООО "Ромашка"', "None", "Ооо Вектор", "NA")
THIN_SPACE = "\u2009"
IDS = ("007", "00123456789012345678", "1e5", "42", "Щ-1")

TOML = """
[project]
timezone = "UTC"

[leads]
%s
id = "ИД"
created_at = "Создан"
columns = { "Бюджет" = "number", "Доля" = "number", "Город" = "category", "Компания" = "category" }

[stages]
file = "stages.csv"
lead = "lead"
at = "at"

[outcome]
"""

Row = Sequence[str]


def plain() -> list[list[str]]:
    """Write the table as a program would."""
    return [
        [one, when.strftime("%Y-%m-%dT%H:%M:%SZ"), repr(money), repr(share), city, company]
        for one, when, money, share, city, company in zip(IDS, CREATED, BUDGET, SHARE, CITY, COMPANY, strict=True)
    ]


def rewritten(
    *, created: Callable[[datetime], str], money: Callable[[float], str] = repr, share: Callable[[float], str] = repr
) -> list[list[str]]:
    """Write the table with times and numbers of another kind."""
    return [
        [row[0], created(when), money(worth), share(part), *row[4:]]
        for row, when, worth, part in zip(plain(), CREATED, BUDGET, SHARE, strict=True)
    ]


def text_of(rows: Sequence[Row], *, delimiter: str = ",", end: str = "\n") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows([HEADER, *rows])
    return out.getvalue()


def grouped(number: float, *, thousands: str, decimal: str) -> str:
    return f"{number:,.2f}".replace(",", "_").replace(".", decimal).replace("_", thousands)


def sheet_cell(value: object) -> str:
    if isinstance(value, float):
        return f"<c><v>{value!r}</v></c>"
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(str(value))}</t></is></c>'


def xlsx(rows: Sequence[Sequence[object]]) -> bytes:
    """Write the smallest workbook that is one."""
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    package = "http://schemas.openxmlformats.org/package/2006"
    body = "".join(f"<row>{''.join(map(sheet_cell, row))}</row>" for row in rows)
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
        f'ContentType="{kinds}.sheet.main+xml"/><Override PartName="/xl/s.xml" ContentType="{kinds}.worksheet+xml"/>'
        "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" Type="{relation}/'
        'officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relation}"><sheets><sheet name="Лиды" sheetId="1" '
        'r:id="s"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="s" Type='
        f'"{relation}/worksheet" Target="s.xml"/></Relationships>',
        "xl/s.xml": f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>',
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{content}')
    return out.getvalue()


def excel_days(when: datetime) -> float:
    return (when.replace(tzinfo=None) - datetime(1899, 12, 30)) / timedelta(days=1)


def russian(when: datetime) -> str:
    return when.strftime("%d.%m.%Y %H:%M:%S")


def american(when: datetime) -> str:
    return when.strftime("%m/%d/%Y %I:%M:%S %p")


def in_words(when: datetime) -> str:
    return f"{when.day} марта {when.year} г. в {when:%H:%M:%S}"


def comma(number: float) -> str:
    return grouped(number, thousands="\u00a0", decimal=",")


def percent(share: float) -> str:
    return f"{share * 100:.1f} %".replace(".", ",")


def roubles(number: float) -> str:
    return f"{grouped(number, thousands=THIN_SPACE, decimal=',')} ₽"


def dollars(number: float) -> str:
    return f"${grouped(number, thousands=',', decimal='.')}".replace("$-", "-$")


def bookkeeping(number: float) -> str:
    text = grouped(abs(number), thousands="'", decimal=".")
    return f"({text})" if number < 0 else text


def moscow(when: datetime) -> str:
    return (when + timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%S.000+0300")


def in_comma_style(*, money: Callable[[float], str] = comma) -> list[list[str]]:
    return rewritten(created=russian, money=money, share=lambda share: repr(share).replace(".", ","))


AMERICAN = rewritten(created=american, money=dollars, share=lambda share: f"{share * 100:.1f}%")
THIN = rewritten(created=lambda when: when.strftime("%Y/%m/%d %H:%M:%S"), money=roubles, share=percent)
WORDS = rewritten(created=in_words, money=bookkeeping)
SECONDS = rewritten(created=lambda when: f"{when.timestamp():.0f}")
MILLISECONDS = rewritten(created=lambda when: f"{when.timestamp() * 1000:.0f}")
SHEET = [
    [row[0], excel_days(when), money, share, *row[4:]]
    for row, when, money, share in zip(plain(), CREATED, BUDGET, SHARE, strict=True)
]
DRESSINGS: dict[str, bytes] = {
    "plain.csv": text_of(plain()).encode(),
    "with a mark.csv": text_of(plain()).encode("utf-8-sig"),
    "utf-16.csv": text_of(plain(), delimiter="\t").encode("utf-16"),
    "utf-16 without a mark.csv": text_of(plain(), delimiter="\t").encode("utf-16-le"),
    "cp1251.csv": text_of(in_comma_style(), delimiter=";").encode("cp1251"),
    "sep line.csv": b"\xef\xbb\xbfsep=;\r\n" + text_of(in_comma_style(), delimiter=";", end="\r\n").encode(),
    "packed.csv.gz": gzip.compress(text_of(plain(), delimiter="|").encode()),
    "thin spaces and roubles.csv": text_of(THIN, delimiter="\t").encode(),
    "american.csv": text_of(AMERICAN).encode(),
    "in words.csv": text_of(WORDS).encode(),
    "unix seconds.csv": text_of(SECONDS).encode(),
    "unix milliseconds.csv": text_of(MILLISECONDS).encode(),
    "other zone.csv": text_of(rewritten(created=moscow)).encode(),
    "book.xlsx": xlsx([HEADER, *SHEET]),
}


def canonical(folder: Path, source: str, files: dict[str, bytes]) -> bytes:
    """Read the project and write its leads as one file."""
    stages = lines("lead,at\n007,2024-04-01T00:00:00Z").encode()
    tables = read_tables(make_project(folder, TOML % source, {**files, "stages.csv": stages}))
    table = tables.connection.sql("SELECT * FROM leads ORDER BY lead_id").to_arrow_table()
    parquet.write_table(table.drop_columns(["position"]), folder / "canonical.parquet")
    return (folder / "canonical.parquet").read_bytes()


@pytest.fixture(scope="module")
def undressed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return canonical(tmp_path_factory.mktemp("plain"), 'file = "l.csv"', {"l.csv": DRESSINGS["plain.csv"]})


@pytest.mark.parametrize("name", DRESSINGS)
def test_one_table_in_any_dressing_is_one_table(tmp_path: Path, undressed: bytes, name: str) -> None:
    dressed = canonical(tmp_path, f'file = "{name}"', {name: DRESSINGS[name]})
    assert dressed == undressed


def test_parquet_and_databases_are_dressings_too(tmp_path: Path, undressed: bytes) -> None:
    empty = [[cell or None for cell in row] for row in plain()]
    columns = {name: [row[place] for row in empty] for place, name in enumerate(HEADER)}
    columns["Создан"] = CREATED  # type: ignore[assignment]
    columns["Бюджет"], columns["Доля"] = list(BUDGET), list(SHARE)  # type: ignore[assignment]
    out = io.BytesIO()
    parquet.write_table(pa.table(columns), out)
    assert canonical(tmp_path / "p", 'file = "l.parquet"', {"l.parquet": out.getvalue()}) == undressed
    folder = tmp_path / "s"
    folder.mkdir()
    with sqlite3.connect(folder / "crm.db") as connection:
        connection.execute("CREATE TABLE l (ИД TEXT, Создан TEXT, Бюджет REAL, Доля REAL, Город TEXT, Компания TEXT)")
        connection.executemany(
            "INSERT INTO l VALUES (?, ?, ?, ?, ?, ?)",
            [[row[0], row[1], money, share, *row[4:]] for row, money, share in zip(empty, BUDGET, SHARE, strict=True)],
        )
    connection.close()
    source = 'url = "sqlite:///crm.db"\nquery = "SELECT * FROM l"'
    assert canonical(folder, source, {}) == undressed


WESTERN = "id,created,name\n1,2024-05-01T00:00:00Z,Müller\n2,2024-05-02T00:00:00Z,Café Zoë\n"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "latin-1", "utf-16"])
def test_a_western_table_is_told_from_a_cyrillic_one(tmp_path: Path, encoding: str) -> None:
    toml = TOML.replace("ИД", "id").replace("Создан", "created")
    toml = toml[: toml.index("columns =")] + 'columns = { name = "category" }\n' + toml[toml.index("\n[stages]") :]
    files = {"l.csv": WESTERN.encode(encoding), "stages.csv": b"lead,at\n1,2024-06-01T00:00:00Z\n"}
    tables = read_tables(make_project(tmp_path, toml % 'file = "l.csv"', files))
    names = tables.connection.execute("SELECT a0 FROM leads ORDER BY 1").fetchall()
    assert names == [("Café Zoë",), ("Müller",)]


def test_a_page_that_nothing_proves_is_asked_for(tmp_path: Path) -> None:
    files = {"l.csv": b"id,created,name\n1,2024-05-01T00:00:00Z,\xec\xe8\xf0\n", "stages.csv": b"lead,at\n"}
    toml = TOML.replace("ИД", "id").replace("Создан", "created")
    toml = toml[: toml.index("columns =")] + 'columns = { name = "category" }\n' + toml[toml.index("\n[stages]") :]
    with pytest.raises(SchemaError, match=r"l\.csv: is not UTF-8.*'мир' in cp1251, 'ЛХП' in koi8-r.*Set encoding"):
        read_tables(make_project(tmp_path, toml % 'file = "l.csv"', files))
    declared = make_project(tmp_path, toml % 'file = "l.csv"\nencoding = "cp1251"', files)
    assert read_tables(declared).connection.execute("SELECT a0 FROM leads").fetchall() == [("мир",)]


def test_rows_of_a_sheet_have_the_numbers_that_excel_shows(tmp_path: Path) -> None:
    (tmp_path / "book.xlsx").write_bytes(xlsx([[], [], ["id", "n"], ["007", "5"], [], ["8", "6"]]))
    source = open_source(SourceSettings(file="book.xlsx"), ["id"], folder=tmp_path)
    assert [row for batch in source.batches for row in batch.column("row").to_pylist()] == [4, 6]
