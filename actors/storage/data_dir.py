"""DataDir: the directory that holds what must outlive the machine. Knows no table and no actor.

    presence-data/          0700
        lock                flock; the number in it is the process that took it
        meta                JSON: what these journals are, so that nothing else is mixed into them
        shard-00.db …       the journals, each owned by its shard
        sender.db           commands, their audit and the outbox, owned by the sender

The lock is taken on an open file that the children inherit. So it is free when the last process of
the runtime is gone, not when its supervisor is: a supervisor killed and started again finds the
directory taken for as long as an orphan could still write.
"""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import json
import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, Literal, Self, TypeAlias

from actors.storage import new_file
from actors.storage.new_file import refuse_link
from runtime.errors import ConfigurationError, RuntimeFault, TemporaryError
from runtime.shadowing import DISTRIBUTION

FORMAT: Final = 1
HASH: Final = "fnv1a_64 & 63"
LOCK: Final = "lock"
META: Final = "meta"
_META_NEW: Final = "meta.new"
_META_BYTES_MAX: Final = 65_536
# What a directory may hold that is not ours yet: our own first steps, and a fresh mount's.
_HARMLESS: Final = frozenset({LOCK, _META_NEW, "lost+found"})


Journalling: TypeAlias = Literal["full", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayIdentity:
    """Whose events these are. Journals of two identities are never mixed."""

    dialect: str
    gateway: str  # the URL of its API
    organisation: str = ""  # empty: this dialect does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """The content of `meta`."""

    format: int
    hash: str
    shards: int
    dialect: str
    gateway: str
    organisation: str
    journal: Journalling = "full"
    has_store: bool = False  # a sender has begun with it
    has_journals: bool = False  # every one of them was made
    written_by: str = ""  # the version that wrote this last


class Lock:
    """The claim on a directory; whoever has the descriptor shares it. Pickles by number, like a
    block, so that children inherit it."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @property
    def fds(self) -> tuple[int, ...]:
        return (self._fd,)

    def release(self) -> None:
        """Gives up this process's share; the claim lasts while another one has the descriptor."""
        os.close(self._fd)

    def __reduce__(self) -> tuple[object, ...]:
        return Lock, (self._fd,)


class DataDir:
    """A directory that this runtime has claimed."""

    __slots__ = ("lock", "meta", "path")

    def __init__(self, path: Path, lock: Lock, meta: Meta) -> None:
        self.path = path
        self.lock = lock
        self.meta = meta

    @classmethod
    def claim(
        cls, path: Path, identity: GatewayIdentity, *, shards: int, journal: Journalling = "full"
    ) -> Self:
        """Makes the directory if need be, locks it, and sees that it belongs to this identity.

        Raises TemporaryError if another runtime has it, ConfigurationError if it holds something
        else. `shards` and `journal` are recorded only in a new one: see `record`. What was written
        with a journal is not opened without: it would be shown as current, or deleted.
        """
        path = path.absolute()
        try:
            _make(path)
            lock = _take_lock(path)
            try:
                meta = _read(path) or _begin(path, identity, shards, journal)
                _check_identity(path, meta, identity)
                _check_journal(path, meta, journal)
                if meta.written_by != own_version():
                    meta = dataclasses.replace(meta, written_by=own_version())
                    _write(path, meta)
                path.chmod(0o700)
            except BaseException:
                lock.release()
                raise
        except OSError as error:
            raise as_fault(path, error) from error
        return cls(path, lock, meta)

    def record(self, *, shards: int, journal: Journalling = "full") -> None:
        """To be called once the journals are those of this many shards, and not before."""
        self.meta = dataclasses.replace(self.meta, shards=shards, journal=journal)
        _write(self.path, self.meta)

    def record_store(self, is_there: bool) -> None:
        """To be called when the sender's store was made, or set aside."""
        if self.meta.has_store != is_there:
            self.meta = dataclasses.replace(self.meta, has_store=is_there)
            _write(self.path, self.meta)

    def record_journals(self) -> None:
        """To be called once every journal is there: from now on one that is not is missed."""
        if not self.meta.has_journals:
            self.meta = dataclasses.replace(self.meta, has_journals=True)
            _write(self.path, self.meta)

    def shard_path(self, shard: int) -> Path:
        return shard_path(self.path, shard)


def shard_path(path: Path, shard: int) -> Path:
    """The journal of one shard."""
    return path / f"shard-{shard:02d}.db"


def sender_path(path: Path) -> Path:
    """The sender's store."""
    return path / "sender.db"


def holder(path: Path) -> int | None:
    """The process that has claimed it, if that lives. For those who only want to know: taking the
    lock to find out could stand in the way of a start."""
    try:
        pid = int((path / LOCK).read_text(errors="replace").strip() or 0)
    except (FileNotFoundError, ValueError):
        return None
    return pid if pid > 0 and Path(f"/proc/{pid}").exists() else None


def read_meta(path: Path) -> Meta:
    """For those who only read, with or without a runtime. Raises ConfigurationError if there is
    nothing to read, or nothing that this version understands."""
    try:
        meta = _read(path)
    except OSError as error:
        raise as_fault(path, error) from error
    if meta is None:
        raise ConfigurationError(
            f"{path} contains no journals, because no runtime has been started on it. Start one "
            "(presence-runtime), or specify another data directory (--data-dir)"
        )
    return meta


def copy_meta(path: Path, target: Path) -> None:
    """Makes a data directory of copied journals."""
    _write(target, read_meta(path))


# -- first steps -------------------------------------------------------------------------------


def _make(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (path / META).exists():
        return
    # Not ours yet. Whoever points it at a home directory by mistake keeps that as it was.
    if strangers := sorted(each.name for each in path.iterdir() if each.name not in _HARMLESS):
        raise ConfigurationError(
            f"{path} is not empty and not a data directory (it contains {strangers[0]}); set "
            "data_dir to an empty directory, or to one that does not exist yet"
        )


def _take_lock(path: Path) -> Lock:
    refuse_link(path / LOCK)
    fd = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(fd, 32).decode(errors="replace").strip() or "unknown"
        os.close(fd)
        raise TemporaryError(
            f"{path} is in use by another runtime (process {holder}, or one of its child "
            "processes); stop it, or set a different data_dir"
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return Lock(fd)


def _begin(path: Path, identity: GatewayIdentity, shards: int, journal: Journalling) -> Meta:
    fields = dataclasses.asdict(identity)
    meta = Meta(
        format=FORMAT,
        hash=HASH,
        shards=shards,
        journal=journal,
        written_by=own_version(),
        **fields,
    )
    _write(path, meta)
    return meta


def _check_identity(path: Path, meta: Meta, identity: GatewayIdentity) -> None:
    for field in dataclasses.fields(GatewayIdentity):
        held, wanted = getattr(meta, field.name), getattr(identity, field.name)
        if held != wanted:
            raise ConfigurationError(
                f"{path} was created with {field.name} = {held or '(none)'}, but the settings "
                f"contain {wanted or '(none)'}; restore the setting, or set a different data_dir"
            )


def _check_journal(path: Path, meta: Meta, journal: Journalling) -> None:
    if meta.journal == "full" and journal == "off":
        raise ConfigurationError(
            f"{path} contains journals, which journal = off would not continue; set journal = "
            "full, or set a different data_dir"
        )


# -- meta --------------------------------------------------------------------------------------


def _read(path: Path) -> Meta | None:
    try:
        with (path / META).open("rb") as file:
            text = file.read(_META_BYTES_MAX)
    except FileNotFoundError:
        return None
    try:
        fields: dict[str, Any] = json.loads(text)
        format_ = int(fields["format"])
        unknown = sorted(fields.keys() - {each.name for each in dataclasses.fields(Meta)})
        if format_ <= FORMAT and not unknown:
            meta = Meta(**fields)
    except (ValueError, TypeError, KeyError):
        raise ConfigurationError(
            f"{path / META} is damaged; restore it from a backup, or set a different data_dir"
        ) from None
    writer = fields.get("written_by")
    newer = "the newer version" + (f", which wrote it ({writer})" if writer else "")
    if format_ > FORMAT:
        raise ConfigurationError(
            f"{path} has format {format_}, but this version ({own_version()}) supports {FORMAT}; "
            f"run {newer}, or set a different data_dir"
        )
    if unknown:
        raise ConfigurationError(
            f"{path / META} has the field {unknown[0]}, which this version ({own_version()}) does "
            f"not know; run {newer}, or set a different data_dir"
        )
    if meta.hash != HASH:
        raise ConfigurationError(
            f"{path} partitions its agents by {meta.hash}, but this version by {HASH}; run the "
            "version that created it, or set a different data_dir"
        )
    return meta


def _write(path: Path, meta: Meta) -> None:
    new_file.replace(path / META, json.dumps(dataclasses.asdict(meta), indent=2).encode() + b"\n")


def own_version() -> str:
    """Of this program; "" where it was never installed."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return ""


def as_fault(path: Path, error: OSError) -> RuntimeFault:
    """What an error of the file system means for a start: worth another try, or a person's."""
    why = "it is a file" if error.errno == errno.EEXIST else error.strerror
    text = f"{path} cannot be used as a data directory: {why}"
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE}:
        return TemporaryError(text)  # which passes by itself
    return ConfigurationError(
        f"{text}. Specify a directory that this user can write to: data_dir in the settings, "
        "or --data-dir"
    )
