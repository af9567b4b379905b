"""The file of the known devices. The bridge and the commands work on it at the same time, each in one thread."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xiaozhi_persona.errors import PersonaError, SettingsError, own_command
from xiaozhi_persona.language import tr
from xiaozhi_persona.private_files import is_unwritable

log = logging.getLogger(__name__)

FILE = "devices.db"
CODE_S = 15 * 60
"""How long a code is valid after it was asked for last."""
MAX_CODES = 50
MAX_DEVICES = 10_000
_BUSY_MS = 1000
_SEEN_EVERY_S = 60.0

_TABLES = """
create table if not exists device (
    id text primary key,
    name text not null default '',
    client text not null default '',
    state text not null default 'new',
    generation integer not null default 0,
    token_used integer not null default 0,
    first_seen_s real not null,
    last_seen_s real not null,
    address text not null default ''
) without rowid;
create table if not exists waiting (
    code text primary key,
    device text not null,
    client text not null,
    address text not null,
    asked_s real not null,
    unique (device, client)
) without rowid;
"""


@dataclass(frozen=True)
class Device:
    """A device that has been here. Times are seconds since 1970."""

    id: str
    name: str
    client: str
    """The hash of the Client-Id that it is bound to, "" for a client without one, and while it is bound to none."""
    state: str
    """new: bound to nothing; bound: to the first client that said something; paired: to the one that was approved;
    forgotten: the next client has to be approved."""
    generation: int
    token_used: int
    """Whether it has shown its token, by which it is known from then on."""
    first_seen_s: float
    last_seen_s: float
    address: str


@dataclass(frozen=True)
class Waiting:
    """A client that waits to be approved."""

    code: str
    device: str
    client: str
    address: str
    asked_s: float


class Devices:
    """The open file. Methods raise PersonaError with the next step when it cannot be read or written."""

    def __init__(self, data_dir: Path, *, copy_if_unwritable: bool = False) -> None:
        """Open it, or make it with mode 0600. With `copy_if_unwritable` a copy serves where it cannot be written to."""
        self.file = data_dir / FILE
        self._stack = contextlib.ExitStack()
        with self._explained(), contextlib.ExitStack() as stack:
            try:
                data_dir.mkdir(parents=True, exist_ok=True)
                self._db = self._open(stack)
            except (sqlite3.OperationalError, OSError) as exc:
                if not (copy_if_unwritable and is_unwritable(exc)):
                    raise
                log.error(
                    "%s 不能写（%s），用临时的副本，改动只留到退出为止。请检查文件夹的权限和磁盘空间。",
                    self.file,
                    exc,
                )
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xiaozhi-persona-")))
                for part in data_dir.glob(f"{FILE}*"):
                    shutil.copyfile(part, folder / part.name)
                self.file = folder / FILE
                self._db = self._open(stack)
            self._stack = stack.pop_all()

    def _open(self, stack: contextlib.ExitStack) -> sqlite3.Connection:
        os.close(os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600))
        db = sqlite3.connect(
            self.file, timeout=_BUSY_MS / 1000, isolation_level=None, check_same_thread=False
        )
        stack.callback(db.close)
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = normal")
        db.executescript(_TABLES)
        return db

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def get(self, device_id: str) -> Device | None:
        """Return a device, None for one that was never here."""
        with self._explained():
            row = self._db.execute("select * from device where id = ?", (device_id,)).fetchone()
        return Device(*row) if row else None

    def everybody(self) -> list[Device]:
        """Return all devices, those that were here last first."""
        with self._explained():
            return [
                Device(*row) for row in self._db.execute("select * from device order by last_seen_s desc")
            ]

    def see(self, device_id: str, address: str, known: Device | None) -> None:
        """Note that a device was here, to the minute. Where there are too many, one that is bound to nothing goes."""
        now_s = time.time()
        if known and known.address == address and 0 <= now_s - known.last_seen_s < _SEEN_EVERY_S:
            return
        with self._explained(), self._transaction() as db:
            db.execute(
                "insert into device (id, first_seen_s, last_seen_s, address) values (?, ?, ?, ?)"
                " on conflict (id) do update set last_seen_s = excluded.last_seen_s, address = excluded.address",
                (device_id, now_s, now_s, address),
            )
            if not known and db.execute("select count(*) from device").fetchone()[0] > MAX_DEVICES:
                db.execute(
                    "delete from device where id = (select id from device where state = 'new' and name = ''"
                    " and id != ? order by last_seen_s limit 1)",
                    (device_id,),
                )

    def bind(self, device_id: str, client: str) -> None:
        """Bind a device that is bound to nothing to a client."""
        with self._explained():
            self._db.execute(
                "update device set state = 'bound', client = ? where id = ? and state = 'new'",
                (client, device_id),
            )

    def note_token(self, device_id: str) -> None:
        """Note that a device has shown its token."""
        with self._explained():
            self._db.execute("update device set token_used = 1 where id = ? and not token_used", (device_id,))

    def code(self, device_id: str, client: str, address: str) -> tuple[Waiting, bool]:
        """Return the code of a client that is to be approved, valid from now, and whether it is a new one.

        Where too many wait, the one that has not asked for the longest time has to ask anew.
        """
        now_s = time.time()
        with self._explained(), self._transaction() as db:
            db.execute(
                "delete from waiting where asked_s < ? or asked_s > ?", (now_s - CODE_S, now_s + CODE_S)
            )
            row = db.execute(
                "select code from waiting where device = ? and client = ?", (device_id, client)
            ).fetchone()
            if row:
                db.execute(
                    "update waiting set asked_s = ?, address = ? where code = ?", (now_s, address, row[0])
                )
                return Waiting(row[0], device_id, client, address, now_s), False
            count = db.execute("select count(*) from waiting").fetchone()[0]
            db.execute(
                "delete from waiting where code in (select code from waiting order by asked_s limit ?)",
                (max(0, count - MAX_CODES + 1),),
            )
            taken = {str(code) for (code,) in db.execute("select code from waiting")}
            code = next(code for code in iter(_draw, "") if code not in taken)
            waiting = Waiting(code, device_id, client, address, now_s)
            db.execute(
                "insert into waiting values (?, ?, ?, ?, ?)", (code, device_id, client, address, now_s)
            )
        return waiting, True

    def waiting(self) -> list[Waiting]:
        """Return who waits to be approved, with a code that is still valid."""
        now_s = time.time()
        with self._explained():
            rows = self._db.execute(
                "select * from waiting where asked_s between ? and ? order by asked_s desc",
                (now_s - CODE_S, now_s + CODE_S),
            ).fetchall()
        return [Waiting(*row) for row in rows]

    def approve(self, code: str) -> Device:
        """Pair the device that was told this code, bound to the client that asked. Raises SettingsError.

        Where that is another client than before, the former one's token is wrong from now on.
        """
        code = "".join(c for c in code if c.isalnum())
        found = next((waiting for waiting in self.waiting() if waiting.code == code), None)
        if found is None:
            raise SettingsError(
                tr(
                    "没有等着的配对码 {code}。配对码 15 分钟有效：让设备再说一次，或看 {command}。",
                    code=code,
                    command=own_command("devices list"),
                )
            )
        now_s = time.time()
        with self._explained(), self._transaction() as db:
            db.execute(
                "insert into device (id, first_seen_s, last_seen_s, address) values (?, ?, ?, ?)"
                " on conflict (id) do nothing",
                (found.device, now_s, now_s, found.address),
            )
            db.execute(
                "update device set generation = generation + (state != 'new' and client != ?), token_used = 0,"
                " state = 'paired', client = ? where id = ?",
                (found.client, found.client, found.device),
            )
            db.execute("delete from waiting where device = ?", (found.device,))
        return self._known(found.device)

    def forget(self, device_id: str) -> None:
        """Make a device's token wrong, and bind it to nothing: whoever comes next has to be approved. SettingsError."""
        self._known(device_id)
        with self._explained(), self._transaction() as db:
            db.execute(
                "update device set generation = generation + 1, token_used = 0, state = 'forgotten', client = ''"
                " where id = ?",
                (device_id,),
            )
            db.execute("delete from waiting where device = ?", (device_id,))

    def rename(self, device_id: str, name: str) -> None:
        """Give a device a name for people. Raises SettingsError."""
        self._known(device_id)
        with self._explained():
            self._db.execute("update device set name = ? where id = ?", (name, device_id))

    def _known(self, device_id: str) -> Device:
        device = self.get(device_id)
        if device is None:
            raise SettingsError(
                tr(
                    "没有来过设备 {device_id}。看看 {command} 里的编号。",
                    device_id=device_id,
                    command=own_command("devices list"),
                )
            )
        return device

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._db.execute("begin immediate")
        try:
            yield self._db
            self._db.execute("commit")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("rollback")
            raise

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Tell what the database or the disk reports in words that say what to do."""
        try:
            yield
        except (sqlite3.Error, OSError) as exc:
            text = str(exc).lower()
            if "locked" in text or "busy" in text:
                step = tr("另一个程序正在写它，等它写完再试。")
            elif "malformed" in text or "not a database" in text:
                step = tr("它坏了：从备份恢复；没有备份就删去它，设备要重新配对。")
            else:
                step = tr("请检查文件夹的权限和磁盘。")
            raise PersonaError(
                tr("设备的名单 {file} 用不了（{exc}）。{step}", file=self.file, exc=exc, step=step)
            ) from exc


def _draw() -> str:
    return f"{secrets.randbelow(1_000_000):06d}"
