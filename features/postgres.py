"""Ask a PostgreSQL server, and read the answer as the server itself writes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from features.databases import Query, Rows, has_order, refuse_url, write_moment
from project.errors import StorageError

if TYPE_CHECKING:
    import psycopg

__all__ = ["is_postgres", "read_postgres"]

_SCHEME = re.compile(r"postgres(ql)?(\+\w+)?://")
_CONNECT_SECONDS = 10
_INSTALL = "pip install 'lead-conversion-predictor[postgres]'"
# cursor_tuple_fraction: the whole answer is wanted soon, not its first tenth
_SESSION = b"""
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO';
SET LOCAL IntervalStyle = 'iso_8601';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1;
SET LOCAL cursor_tuple_fraction = 1.0;
"""
_BOOL, _TIMESTAMP, _TIMESTAMPTZ = 16, 1114, 1184  # numbers of types, fixed in the server's catalogue
_FORMS: Mapping[int, Callable[[str], str]] = {
    _BOOL: {"t": "true", "f": "false"}.__getitem__,
    _TIMESTAMP: write_moment,
    _TIMESTAMPTZ: write_moment,
}


def is_postgres(url: str) -> bool:
    """Tell whether a `url` is that of a PostgreSQL server, whichever driver it names.

    >>> is_postgres("postgresql+psycopg://db/crm"), is_postgres("postgres://db/crm"), is_postgres("sqlite:///crm.db")
    (True, True, False)
    """
    return _SCHEME.match(url) is not None


def read_postgres(url: str, query: Query) -> Rows:
    """Ask a PostgreSQL server in one read-only snapshot, chunk by chunk from a cursor on the server.

    Chunks are as in `databases`. The session's zone is UTC. A query without ORDER BY is sorted by the server, by the
    wanted columns as text.
    """
    try:
        from psycopg.types.string import TextLoader
    except ImportError as error:
        raise StorageError(f"PostgreSQL needs a driver that is not installed ({error}): {_INSTALL}") from None

    parts = _parse(url)
    where = f"postgresql://{parts.get('host', '')}:{parts.get('port', '5432')}/{parts.get('dbname', '')}"
    secrets = [str(parts[name]) for name in ("password", "sslpassword") if parts.get(name)]
    with _naming(where, secrets), _connect(parts, where, secrets) as connection:
        connection.execute(_SESSION)
        described = connection.execute(f"SELECT * FROM ({query.text}\n) AS answer LIMIT 0".encode()).description or []
        header = tuple(column.name for column in described)
        places = query.find_places(header)
        yield [header]
        with connection.cursor("leads") as cursor:
            for column in described:
                cursor.adapters.register_loader(column.type_code, TextLoader)
            cursor.execute(_in_order(query, header, places).encode())
            picked = range(len(places)) if not has_order(query.text) else places
            forms = [(at, _FORMS.get(described[place].type_code)) for at, place in zip(picked, places, strict=True)]
            while chunk := cursor.fetchmany(query.chunk):
                yield [tuple(_write(row[at], form) for at, form in forms) for row in chunk]


def _write(cell: str | None, form: Callable[[str], str] | None) -> str | None:
    return cell if cell is None or form is None else form(cell)


def _in_order(query: Query, header: Sequence[str], places: Sequence[int]) -> str:
    if has_order(query.text):
        return query.text
    names = ", ".join(f"c{place}" for place in range(len(header)))
    wanted = ", ".join(f"c{place}" for place in places)
    order = ", ".join(f'c{place}::text COLLATE "C"' for place in places)
    return f"SELECT {wanted} FROM ({query.text}\n) AS answer({names}) ORDER BY {order}"


def _parse(url: str) -> dict[str, str]:
    """Take the address apart as the server's own library does; a bare @ or / in a password would tear it apart."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        found = conninfo_to_dict(_SCHEME.sub("postgresql://", url, count=1))
    except psycopg.Error:
        raise refuse_url() from None
    parts = {name: str(value) for name, value in found.items()}
    strayed = "@" in parts.get("host", "") + parts.get("dbname", "")
    if strayed or not re.fullmatch(r"[\d,]*", parts.get("port", "")):
        raise refuse_url()
    return parts


@contextmanager
def _connect(parts: Mapping[str, str], where: str, secrets: Sequence[str]) -> Iterator[psycopg.Connection]:
    import psycopg
    from psycopg.conninfo import make_conninfo

    ours = {"connect_timeout": str(_CONNECT_SECONDS), "application_name": "leads", "client_encoding": "UTF8"}
    try:
        connection = psycopg.connect(make_conninfo(**{**ours, **parts}))
    except psycopg.OperationalError as error:
        raise StorageError(
            f"{where}: cannot connect: {_words(error, secrets)} "
            "Start the server, or correct host, port, database, user and password in `url`."
        ) from None
    try:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        yield connection
    finally:
        connection.close()


@contextmanager
def _naming(where: str, secrets: Sequence[str]) -> Iterator[None]:
    import psycopg

    try:
        yield
    except (psycopg.Error, UnicodeDecodeError) as error:
        raise StorageError(
            f"{where}: the query failed: {_words(error, secrets)} Correct `query` in leads.toml."
        ) from None


def _words(error: Exception, secrets: Sequence[str]) -> str:
    import psycopg

    words = str(error)
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        words = ". ".join(text for text in (error.diag.message_primary, error.diag.message_hint) if text)
    for secret in secrets:
        words = words.replace(secret, "***")
    said = " ".join(words.split())
    return said if said.endswith((".", "?", "!")) else f"{said}."
