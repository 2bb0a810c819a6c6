from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from features.encoding import find_encoding, judge_words
from project.errors import SchemaError

RUSSIAN = "номер;имя\n1;Ёжик из ООО Ромашка, МОСКВА\n2;Щёлково\n"
WESTERN = "id;name\n1;Müller à Évreux\n2;Señora Björk, Größe 5\n"


@pytest.mark.parametrize(
    ("text", "encoding", "should"),
    [
        # a mark at the beginning
        (RUSSIAN, "utf-8-sig", "utf-8"),
        (RUSSIAN, "utf-16", "utf-16"),
        (RUSSIAN, "utf-32", "utf-32"),
        # zeros in every second byte
        ("id,name\n1,plain\n", "utf-16-le", "utf-16-le"),
        (RUSSIAN.replace("имя", "name"), "utf-16-be", "utf-16-be"),
        # valid throughout
        (RUSSIAN, "utf-8", "utf-8"),
        ("id,name\n1,plain\n", "ascii", "utf-8"),
        # words
        (RUSSIAN, "cp1251", "cp1251"),
        (RUSSIAN + "3;«Уют» – №5\n", "cp1251", "cp1251"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        (RUSSIAN, "cp866", "cp866"),
        (WESTERN, "latin-1", "cp1252"),
        (WESTERN + "3;“Café” – 5 €\n", "cp1252", "cp1252"),
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_an_encoding_is_found_with_proof(tmp_path: Path, name: str, text: str, encoding: str, should: str) -> None:
    content = text.encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    found = find_encoding(tmp_path / name)
    assert found == should
    assert content.decode(found).lstrip("\ufeff") == text


def test_words_that_stand_right_in_two_pages_are_shown_in_both(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("id,c\n1,сайт\n".encode("cp1251"))
    with pytest.raises(SchemaError) as caught:
        find_encoding(tmp_path / "t.csv")
    assert str(caught.value) == (
        "t.csv: is not UTF-8, and stands right in several encodings: 'сайт' in cp1251, 'ЯЮИР' in koi8-r. "
        'Set encoding = "cp1251" (or what it is) for it in leads.toml.'
    )


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("Dvořák, křížek, Škoda", "cp1250"), ("Łódź, żółty, ciąża", "cp1250"), ("Çağrı, şeker, gün", "cp1254")],
    ids=["Czech", "Polish", "Turkish"],
)
def test_a_page_that_is_not_known_is_never_taken_for_another(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "t.csv").write_bytes(f"id;name\n1;{text}\n".encode(encoding))
    with pytest.raises(SchemaError, match=r"stands right in no encoding.* Set encoding ="):
        find_encoding(tmp_path / "t.csv")


def test_what_is_no_text_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(SchemaError, match=r"t\.csv: is no text"):
        find_encoding(tmp_path / "t.csv")


@pytest.mark.parametrize("page", ["cp1251", "koi8-r", "cp866"])
def test_cyrillic_pages_are_told_by_their_words(page: str) -> None:
    words = {word.encode(page) for word in ("Москва", "Заявка", "сайт", "ООО", "Ёлки")}
    assert judge_words(words, name="t.csv") == page
