"""A PostgreSQL server of our own: a fresh data folder, a free port on loopback, gone when the tests are over."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

USER = "analyst"


@dataclass(frozen=True)
class Server:
    """Where a private server listens, and the password of its only user."""

    port: int
    password: str

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/postgres"

    def run(self, *statements: str) -> None:
        """Run statements, each committed."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


def find_binaries() -> Path | None:
    """Return the folder of `initdb` and `postgres`: on the path, or where Debian puts them, the newest first."""
    packaged = Path("/usr/lib/postgresql").glob("*/bin")
    newest = sorted(packaged, key=lambda path: float(path.parent.name), reverse=True)
    for folder in [*map(Path, os.get_exec_path()), *newest]:
        if os.access(folder / "initdb", os.X_OK) and os.access(folder / "postgres", os.X_OK):
            return folder
    return None


@contextmanager
def serve_postgres(binaries: Path) -> Iterator[Server]:
    """Make and start a server, and stop it whatever happens. It refuses to run as root, so root becomes another."""
    folder = Path(tempfile.mkdtemp(prefix="leads-postgres-"))
    try:
        account = _unprivileged()
        data, secret = folder / "data", secrets.token_hex(8)
        (folder / "secret").write_text(secret, encoding="utf-8")
        if account:
            for path in (folder, folder / "secret"):
                shutil.chown(path, account["user"], account["group"])
        wanted = ["--auth=scram-sha-256", f"--pwfile={folder / 'secret'}", f"--username={USER}", "--encoding=UTF8"]
        made = subprocess.run(
            [binaries / "initdb", f"--pgdata={data}", *wanted, "--no-locale", "--no-sync"],
            **account,
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stderr}")
        with _started(binaries, data, account) as port:
            yield Server(port, secret)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    account = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@contextmanager
def _started(binaries: Path, data: Path, account: dict[str, Any]) -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    settings = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "timezone": "Asia/Tokyo",
    }
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    log = data.parent / "log"
    with (
        log.open("w", encoding="utf-8") as out,
        subprocess.Popen(
            [binaries / "postgres", "-D", data, "-p", str(port), *words],
            **account,
            cwd=data,
            stdout=out,
            stderr=subprocess.STDOUT,
        ) as server,
    ):
        try:
            _wait_until_ready(server, port, log)
            yield port
        finally:
            server.send_signal(signal.SIGINT)  # fast: ends sessions that are still open
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait_until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + 60
    while "ready to accept connections" not in log.read_text(encoding="utf-8"):
        if server.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"PostgreSQL did not start on port {port}: {log.read_text(encoding='utf-8')}")
        time.sleep(0.05)
