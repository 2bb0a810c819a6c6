"""Cells of a table: rows that do not fit, numbers, missing values, encodings."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from features.ingest import read_tables
from project.errors import NotEnoughDataError, SchemaError
from project.folder import Project
from project.settings import Settings
from worlds import (
    BASIC_TOML,
    FLAT,
    OLD_WIN,
    ONE_LEAD,
    csv_text,
    make_flat,
    make_tables,
    numbers_of,
    read_rejects,
    rows_of,
)


@pytest.mark.parametrize("name", ["leads.csv", "leads.csv.gz"])
def test_rows_that_do_not_fit_are_set_aside_with_their_row_and_reason(tmp_path: Path, name: str) -> None:
    tables = make_flat(
        tmp_path,
        """1,10,web,1
        2,20
        3,abc,web,1
        ,30,web,1
        1,40,"second, ""1""\",0
        4,inf,web,0
        5,1,2,3,4,5
        6,NaN,web,0
        7,,,0""",
        name=name,
    )
    assert numbers_of(tables) == {"1": 10.0, "7": None}
    fault = "is not a finite number; correct it, or set decimal, missing or another kind"
    assert read_rejects(tmp_path) == [
        ["row", "reason", "id", "won", "c", "n"],
        ["4", f"n: abc {fault}", "3", "1", "web", "abc"],
        ["5", "id: empty", "", "1", "web", "30"],
        ["6", "lead_id: stands already in row 2", "1", "0", 'second, "1"', "40"],
        ["7", f"n: inf {fault}", "4", "0", "web", "inf"],
        ["9", f"n: NaN {fault}", "6", "0", "web", "NaN"],
        ["3", "row: 2 cells where the header has 4", "2,20"],
        ["8", "row: 6 cells where the header has 4", "5,1,2,3,4,5"],
    ]
    count = tables.counts["leads"]
    assert (count.read, count.kept, count.rejected) == (9, 2, 7)
    assert sum(count.reasons.values()) == 7
    assert count.reasons["lead_id: stands already in an earlier row"] == 1
    assert count.rejects_file == tmp_path / "state" / "rejects" / "leads.csv"


def test_without_rejects_there_is_no_file_of_them_any_more(tmp_path: Path) -> None:
    make_flat(tmp_path, "1,10,web,1\n2,x,web,1")
    assert len(read_rejects(tmp_path)) == 2
    tables = make_flat(tmp_path, "1,10,web,1\n2,5,web,1")
    assert not (tmp_path / "state" / "rejects" / "leads.csv").exists()
    assert (tables.counts["leads"].rejected, tables.counts["leads"].rejects_file) == (0, None)


def test_the_first_good_row_of_an_id_is_the_one_that_stays(tmp_path: Path) -> None:
    tables = make_flat(tmp_path, "1,x,a,1\n1,2,b,1\n1,3,c,1")
    assert numbers_of(tables) == {"1": 2.0}
    assert [row[:2] for row in read_rejects(tmp_path)[2:]] == [["4", "lead_id: stands already in row 3"]]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("1 200", 1_200.0),
        ("1\u00a0200,5".replace(",", "."), 1_200.5),
        ("1\u202f234\u202f567", 1_234_567.0),
        (" 7 ", 7.0),
        ("\u00a07\u00a0", 7.0),
        ("-0.5", -0.5),
        ("+3", 3.0),
        ("1e3", 1_000.0),
        (".5", 0.5),
        ("0007", 7.0),
        ("", None),
        ("   ", None),
        ("9007199254740993", 9007199254740992.0),
    ],
)
def test_numbers_are_read_as_people_write_them(tmp_path: Path, cell: str, value: float | None) -> None:
    assert numbers_of(make_flat(tmp_path, f'1,"{cell}",web,1')) == {"1": value}


@pytest.mark.parametrize(
    "cell",
    ["abc", "inf", "-Infinity", "nan", "1e999", "12 kg", "0x1F", "1_200", "–5", "NULL", "true"],
)
def test_what_is_no_number_is_set_aside(tmp_path: Path, cell: str) -> None:
    tables = make_flat(tmp_path, f'1,1,web,1\n2,"{cell}",web,1')
    assert numbers_of(tables) == {"1": 1.0}
    assert read_rejects(tmp_path)[1][1].startswith(f"n: {cell} is not a finite number")


def test_decimal_commas_and_semicolons_are_read_if_declared(tmp_path: Path) -> None:
    text = "id;n;c;won\n1;1\u00a0200,75;a,b;1\n2;-0,5;c;0\n3;12;d;0\n"
    tables = make_tables(tmp_path, FLAT % 'decimal = ","', {"leads.csv": text})
    assert numbers_of(tables) == {"1": 1_200.75, "2": -0.5, "3": 12.0}
    assert rows_of(tables, "SELECT a0 FROM leads ORDER BY position") == [("a,b",), ("c",), ("d",)]


def test_with_decimal_commas_a_point_is_no_decimal_sign(tmp_path: Path) -> None:
    # 1.200 in such a file means twelve hundred; to read it as 1.2 in silence would be wrong by a thousand
    text = "id;n;c;won\n1;5;a;1\n2;1.200;a;1\n"
    found = numbers_of(make_tables(tmp_path, FLAT % 'decimal = ","', {"leads.csv": text}))
    assert found.get("2") != 1.2


def test_declared_tokens_are_no_value_and_nothing_else_is(tmp_path: Path) -> None:
    tables = make_flat(
        tmp_path, "1,-,-,1\n2, n/a ,NA,1\n3,3,None,-\n4,4,null,1\n5,5,N/A,1", more='missing = ["-", "n/a"]'
    )
    assert numbers_of(tables) == {"1": None, "2": None, "3": 3.0, "4": 4.0, "5": 5.0}
    texts = dict(rows_of(tables, "SELECT lead_id, a0 FROM leads"))
    assert texts == {"1": None, "2": "NA", "3": "None", "4": "null", "5": "N/A"}
    assert rows_of(tables, "SELECT lead_id FROM leads WHERE converted IS NULL") == [("3",)]


def test_companies_called_nothing_stay_and_ids_keep_their_zeros(tmp_path: Path) -> None:
    toml = BASIC_TOML.replace('id = "id"', 'id = "id"\naccount = "company"', 1)
    companies = ["NA", "None", "null", "NaN", "nan", "007", "1e5", "TRUE", ""]
    ids = ["007", "7", "7.0", "1e3", "00012345678901234567890", "NA", "None", "ё", "-"]
    rows = [["id", "company", "created"]]
    rows += [[lead, company, "2024-05-01T00:00:00Z"] for lead, company in zip(ids, companies, strict=True)]
    tables = make_tables(tmp_path, toml, {"leads.csv": csv_text(rows), "stages.csv": OLD_WIN})
    found = rows_of(tables, "SELECT lead_id, account_id FROM leads ORDER BY position")
    assert [lead for lead, _ in found] == ids
    assert [account for _, account in found][:-1] == companies[:-1]
    assert len({account for _, account in found}) == len(ids)


def test_cells_with_quoted_newlines_count_as_one_row(tmp_path: Path) -> None:
    text = 'id,n,c,won\n1,1,"a\nb\r\nc",1\n2,bad,x,1\n'
    tables = make_tables(tmp_path, FLAT % "", {"leads.csv": text})
    assert rows_of(tables, "SELECT a0 FROM leads") == [("a\nb\r\nc",)]
    assert read_rejects(tmp_path)[1][0] == "3"


def test_a_header_alone_is_not_enough_data(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughDataError, match="No lead is left"):
        make_tables(tmp_path, FLAT % "", {"leads.csv": "id,n,c,won\n"})


def test_bad_rows_only_are_not_enough_data_and_can_be_looked_up(tmp_path: Path) -> None:
    with pytest.raises(NotEnoughDataError, match=r"state/rejects/leads\.csv"):
        make_flat(tmp_path, "1,x,a,1\n2,y,a,1")
    assert [row[0] for row in read_rejects(tmp_path)] == ["row", "2", "3"]


def test_a_missing_column_is_named_with_the_header(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=r"leads\.csv: no column 'n'\. Found: id, N, c, won"):
        make_tables(tmp_path, FLAT % "", {"leads.csv": "id,N,c,won\n1,1,1,1\n"})


TWO_NUMBERS = FLAT.replace('"c" = "category"', '"c" = "number"') % 'delimiter = ";"'


@pytest.mark.parametrize(
    ("cells", "should"),
    [
        # the file proves a decimal comma: its points part thousands
        ("1.234;12,5 2.500;0,75", {"1": 1_234.0, "2": 2_500.0}),
        # the file proves a decimal point: its commas part thousands
        ("1,234;12.50 2,500;0.75", {"1": 1_234.0, "2": 2_500.0}),
        # a long number without marks: no thousands are parted here
        ("1.234;12,5 12345;0,75", {"1": 1.234, "2": 12_345.0}),
        # the column itself knows
        ("1.234;12,5 0.5;0,75", {"1": 1.234, "2": 0.5}),
        # nobody says otherwise
        ("1.234;12 2.500;7", {"1": 1.234, "2": 2.5}),
    ],
)
def test_a_mark_before_three_digits_follows_what_the_file_proves(
    tmp_path: Path, cells: str, should: dict[str, float]
) -> None:
    rows = "".join(f"{place};{pair};1\n" for place, pair in enumerate(cells.split(), start=1))
    assert numbers_of(make_tables(tmp_path, TWO_NUMBERS, {"leads.csv": f"id;n;c;won\n{rows}"})) == should


def test_numbers_that_have_a_type_do_not_follow_texts_of_their_table(tmp_path: Path) -> None:
    toml = (FLAT % "").replace("leads.csv", "t.parquet").replace('"c" = "category"', '"c" = "number"')
    table = {"id": ["1", "2"], "n": [1.234, 2.125], "c": ["12,5", "0,75"], "won": ["1", "0"]}
    parquet.write_table(pa.table(table), tmp_path / "t.parquet")
    assert numbers_of(make_tables(tmp_path, toml, {})) == {"1": 1.234, "2": 2.125}


def test_a_cp1251_file_keeps_its_cyrillic_if_declared(tmp_path: Path) -> None:
    content = "id,n,c,won\n1,5,Щёлково – №1,1\n".encode("cp1251")
    tables = make_tables(tmp_path, FLAT % 'encoding = "cp1251"', {"leads.csv": content})
    assert rows_of(tables, "SELECT a0 FROM leads") == [("Щёлково – №1",)]


def test_a_cp1251_file_is_told_by_its_words(tmp_path: Path) -> None:
    content = "id,n,c,won\n1,5,Щёлково,1\n".encode("cp1251")
    tables = make_tables(tmp_path, FLAT % "", {"leads.csv": content})
    assert rows_of(tables, "SELECT a0 FROM leads") == [("Щёлково",)]


def test_a_byte_order_mark_changes_nothing(tmp_path: Path) -> None:
    tables = make_tables(tmp_path, FLAT % "", {"leads.csv": b"\xef\xbb\xbfid,n,c,won\n1,5,x,1\n"})
    assert numbers_of(tables) == {"1": 5.0}


def test_the_data_hash_changes_with_any_table(tmp_path: Path) -> None:
    files = {"leads.csv": ONE_LEAD, "stages.csv": OLD_WIN}
    one = make_tables(tmp_path / "1", BASIC_TOML, files).data_hash
    assert make_tables(tmp_path / "2", BASIC_TOML, files).data_hash == one
    assert (
        make_tables(tmp_path / "3", BASIC_TOML, {**files, "leads.csv": ONE_LEAD + "2,2024-05-02T00:00:00Z\n"}).data_hash
        != one
    )
    assert make_tables(tmp_path / "4", BASIC_TOML, {**files, "stages.csv": OLD_WIN + "\n"}).data_hash != one


def test_odd_headers_and_settings_are_only_words(tmp_path: Path) -> None:
    odd = 'it\'s; DROP TABLE leads; -- "x" {y} %s'
    settings_of_it = Settings.model_validate(
        {
            "leads": {
                "file": "l.csv",
                "delimiter": ",",
                "id": odd,
                "columns": {f"{odd} 2": "number"},
                "missing": [odd, "'"],
            },
            "outcome": {"column": f"{odd} 3", "won": [odd, "yes'"]},
        }
    )
    rows = [[odd, f"{odd} 2", f"{odd} 3"], ["1", odd, "yes'"], ["2", "x'y", "'"], ["3", "5", "no"]]
    (tmp_path / "l.csv").write_text(csv_text(rows), encoding="utf-8")
    tables = read_tables(Project(tmp_path, settings_of_it))
    found = rows_of(tables, "SELECT lead_id, a0, converted FROM leads ORDER BY 1")
    assert found == [("1", None, True), ("3", 5.0, False)]
    assert read_rejects(tmp_path)[1][1].startswith(f"{odd} 2: x'y is not a finite number")
