"""Which encoding a text file is written in, by proof: a mark, valid UTF-8 throughout, or words that stand right."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from project.errors import SchemaError, StorageError

__all__ = ["find_encoding", "judge_words", "open_bytes"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CYRILLIC, _WESTERN = ("cp1251", "koi8-r", "cp866"), ("cp1252", "latin-1")
_BLOCK_BYTES, _MOST_WORDS, _START_BYTES = 1 << 20, 20_000, 1 << 16
_NULS_OF_UTF_16, _WRONG_WORDS = 0.3, 0.05
_WORD = re.compile(rb"[A-Za-z\x80-\xff]*[\x80-\xff][A-Za-z\x80-\xff]*")
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MARKS_IN_TEXT = "«»“”„‘’‚‹›–—…№§©®°·•™€£±\u00a0\u00ad"
_EDGES = re.compile(rf"[{_MARKS_IN_TEXT}]+")
_JOINED = re.compile(r"[^\W\d_][«»„‹›…№§©®°·•™€£±][^\W\d_]")
_RUSSIAN = "а-яёіїєґўәғқңөұүһ"
_CYRILLIC_WORD = re.compile(
    rf"(?![ьъ])([{_RUSSIAN}]+|[{_RUSSIAN.upper()}]+|[{_RUSSIAN.upper()}][{_RUSSIAN}]+)", re.UNICODE
)
_ACCENTED = "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞŒŠŽŸßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþœšžÿ"
_WESTERN_WORD = re.compile(rf"[A-Za-z{_ACCENTED}]+")
# letters that no Western language has side by side: the same bytes are Czech, Hungarian or Turkish letters elsewhere
_OTHER_PAGES = (("ø", "ìèùòáíýšž"), ("õ", "û"), ("þð", "çü"))


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file, unpacked if it is packed with gzip."""
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def find_encoding(path: Path) -> str:
    """Return the encoding in which the whole file reads.

    Raises
    ------
    SchemaError
        It is no text, or no 8-bit page or several make words of it; the message shows an example in each.
    StorageError
        It cannot be read.
    """
    try:
        with open_bytes(path) as file:
            start = file.read(_START_BYTES)
        marked = next((name for mark, name in _MARKS if start.startswith(mark)), None) or _unmarked_utf_16(start)
        if marked:
            return marked
        if _is_utf8(path):
            return "utf-8"
        if len(_CONTROLS.findall(start)) > 0.01 * len(start):
            raise SchemaError(f"{path.name}: is no text (bytes {start[:4].hex(' ')} …). Export it as CSV or Excel.")
        return judge_words(_read_words(path), name=path.name)
    except (OSError, EOFError, zlib.error) as error:
        raise StorageError(f"{path}: cannot be read ({error}). Is it whole?") from error


def _unmarked_utf_16(start: bytes) -> str | None:
    even, odd = start[0::2].count(0), start[1::2].count(0)
    for zeros, others, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if others == 0 and zeros > _NULS_OF_UTF_16 * len(start) / 2:
            return name
    return None


def _blocks(path: Path) -> Iterator[bytes]:
    with open_bytes(path) as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in _blocks(path):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _read_words(path: Path) -> set[bytes]:
    """Return distinct words with a letter beyond ASCII, 20,000 at most, from the whole file."""
    words: set[bytes] = set()
    rest = b""
    for block in _blocks(path):
        found = rest + block
        cut = max(found.rfind(b"\n"), found.rfind(b"\r")) + 1 or len(found)
        words.update(_WORD.findall(found[:cut]))
        rest = found[cut:]
        if len(words) > _MOST_WORDS:
            break
    words.update(_WORD.findall(rest))
    return words


def judge_words(words: set[bytes], *, name: str) -> str:
    """Return the one 8-bit page in which the words stand right.

    A reading is right if nearly every word is Cyrillic throughout with a sane letter case, or Latin with accented
    letters inside; and if every other reading spoils more.

    >>> judge_words({"Москва".encode("cp1251"), "сайт".encode("cp1251")}, name="t.csv")
    'cp1251'
    >>> judge_words({"Müller".encode("latin-1")}, name="t.csv")
    'cp1252'
    """
    readings = {page: _decode(words, page) for page in (*_CYRILLIC, *_WESTERN)}
    spoilt = {page: _count_spoilt(texts, page) for page, texts in readings.items() if texts is not None}
    fit = [page for page, count in spoilt.items() if count <= _WRONG_WORDS * len(words)]
    for page in fit:
        rivals = [other for other in spoilt if readings[other] != readings[page]]
        if all(spoilt[other] > 3 * spoilt[page] for other in rivals):
            return page
    raise _no_proof(readings, fit, name)


def _decode(words: set[bytes], page: str) -> list[str] | None:
    try:
        return [word.decode(page) for word in sorted(words)]
    except UnicodeDecodeError:
        return None


def _count_spoilt(texts: Sequence[str], page: str) -> int:
    if page in _CYRILLIC:
        return sum(not _fits(text, _CYRILLIC_WORD) for text in texts)
    letters = set("".join(texts).lower())
    if any(letters & set(one) and letters & set(other) for one, other in _OTHER_PAGES):
        return len(texts)
    return sum(not (_fits(text, _WESTERN_WORD) and _has_few_accents(text)) for text in texts)


def _fits(text: str, word: re.Pattern[str]) -> bool:
    if _JOINED.search(text):
        return False
    return all(word.fullmatch(part) or (part.isascii() and part.isalpha()) for part in _EDGES.split(text) if part)


def _has_few_accents(text: str) -> bool:
    letters = _EDGES.sub("", text)
    return len(letters) <= 1 or 2 * sum(not letter.isascii() for letter in letters) <= len(letters)


def _no_proof(readings: Mapping[str, list[str] | None], fit: Sequence[str], name: str) -> SchemaError:
    shown = [page for page in (fit or readings) if readings[page] is not None]
    place = max(range(len(readings["latin-1"] or ())), key=lambda n: len((readings["latin-1"] or ())[n]), default=0)
    examples = ", ".join(f"{(readings[page] or [''])[place][:40]!r} in {page}" for page in shown)
    found = "stands right in several encodings" if fit else "stands right in no encoding that is known here"
    cure = f'Set encoding = "{shown[0]}" (or what it is) for it in leads.toml.'
    return SchemaError(f"{name}: is not UTF-8, and {found}: {examples}. {cure}")
