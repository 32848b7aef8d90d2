"""`TwilioFileSystem`: what a mount shows, as fsspec's users expect it (pandas, PyAV, Dask, Ray, Spark).

Names are those of a mount, without the slash at the beginning. The views `by-date` and `by-room` can be listed and read
but are left out of the root's listing, so that whoever walks or copies everything meets each medium once.

Where fsspec's own methods take any failure for "not there" (`exists`, `walk`, and so `find` and `glob`), only what is
not there is taken for it here: an outage is an `OSError`, never an empty folder.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any, NoReturn

from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.spec import AbstractFileSystem
from fsspec.utils import isfilelike, stringify_path

from twfs.config.profiles import parse_source
from twfs.config.table import OPTIONS, refuse_secret, unknown_option
from twfs.errors import ConfigError, NoSuchName, NotADirectory
from twfs.fsspec.account import Account, ObjectKey, OpenFile, account_for
from twfs.fsspec.entries import Info, at_once, brief_info, full_info, joined, listed_info, type_of
from twfs.fsspec.failures import os_errors, refuse_change
from twfs.fsspec.file import MediumFile
from twfs.transfer.replacing import replacing
from twfs.transfer.shortcomings import Shortcomings

_SCHEME = "twilio://"
_UNLISTED = ("by-date", "by-room")
# What fsspec's own base class takes; nothing of it matters here.
_FSSPECS_OWN = ("asynchronous", "loop", "batch_size", "use_listings_cache", "listings_expiry_time", "max_paths")


class TwilioFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """An account's media, decrypted, read-only.

    An instance holds texts only, never a secret, and connects when it is first used: it can be pickled to any machine,
    where credentials and private keys come from that machine's own environment and files.
    """

    protocol = "twilio"
    root_marker = ""

    def __init__(self, account: str = "", **options: Any) -> None:
        """Of the account SID or profile `account`; by default the default profile, or the environment's account.

        Args:
            account: as in `twilio://ACCOUNT/…`.
            options: of twfs, by their names (`config`, `credentials`, `private_key`, `timeout`, …). Secrets are
                refused, for they would travel with the instance.

        Raises:
            ValueError: an option is unknown, a secret, or its value cannot be used.
        """
        super().__init__(account=account, **options)
        self.account = account
        self._source = f"twilio:{account}"
        self._overrides = _checked(self._source, {k: v for k, v in options.items() if k not in _FSSPECS_OWN})
        self._account: Account | None = None
        self._shortcomings = Shortcomings()

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(each) for each in path]
        text: str = stringify_path(path)
        if text.startswith(_SCHEME):
            text = text.removeprefix(_SCHEME).partition("/")[2]
        return text.strip("/")

    @staticmethod
    def _get_kwargs_from_urls(path: Any) -> dict[str, str]:
        text: str = stringify_path(path)
        account = text.removeprefix(_SCHEME).partition("/")[0] if text.startswith(_SCHEME) else ""
        return {"account": account} if account else {}

    def unstrip_protocol(self, name: str) -> str:
        """The whole URL of a name."""
        return f"{_SCHEME}{self.account}/{self._strip_protocol(name)}"

    # What is there

    def ls(
        self,
        path: str,
        detail: bool = True,  # noqa: FBT001, FBT002 - fsspec's signature
        *,
        sizes: bool = True,
        refresh: bool = False,
        **_kwargs: Any,
    ) -> list[Any]:
        """What is in a folder, or the file itself.

        A size not yet known costs two requests, once for good; several are asked for at a time. Without `sizes`
        nothing is asked for, and files have name and type only. A size is None if one medium's own trouble hides it.

        Args:
            path: name or URL.
            detail: dictionaries as from `info`; else names.
            sizes: see above.
            refresh: list the whole account anew first; otherwise a listing serves for as long as the option `refresh`
                says, and then what is new is added to it.

        Raises:
            FileNotFoundError: there is no such name.
            OSError: the account cannot be listed, or sizes cannot be asked for.
        """
        path = self._strip_protocol(path)
        account = self._connected()
        with os_errors(path):
            account.look_again(now=refresh)
            try:
                entries = account.ask(lambda vfs: list(vfs.readdir(f"/{path}")))
            except NotADirectory:
                info = self.info(path)
                return [info] if detail else [info["name"]]
            shown = [entry for entry in entries if _is_shown(path, entry.name)]
            if not detail:
                return [joined(path, entry.name) for entry in shown]
            if not sizes:
                return [brief_info(path, entry) for entry in shown]
            infos = at_once(lambda entry: listed_info(account.vfs, path, entry), shown, account.connections)
            return [info for info in infos if info is not None]

    def info(self, path: str, **_kwargs: Any) -> Info:
        """`name`, `type`, exact `size`, `created`, `mtime` (both seconds since 1970 UTC), and what is known of it.

        The latter has the names of a mount's attributes `user.twilio.*`: texts (`sid`, `date_created`, `codec`, `etag`,
        ...) but for `duration` (whole seconds), `offset` (milliseconds) and `encrypted` (a truth value).

        Raises:
            FileNotFoundError: there is no such name.
            NotConfigured: the configuration on this machine cannot be used.
            OSError: the size cannot be found out.
        """
        path = self._strip_protocol(path)
        with os_errors(path):
            return self._connected().ask(lambda vfs: full_info(vfs, path))

    def exists(self, path: str, **_kwargs: Any) -> bool:
        """Whether there is such a name; asks for no size.

        Raises:
            OSError: it cannot be found out.
        """
        return self._type(path) is not None

    lexists = exists

    def isdir(self, path: str) -> bool:
        """Whether it is a folder.

        Raises:
            OSError: as `exists`.
        """
        return self._type(path) == "directory"

    def isfile(self, path: str) -> bool:
        """Whether it is a medium.

        Raises:
            OSError: as `exists`.
        """
        return self._type(path) == "file"

    def walk(
        self,
        path: str,
        maxdepth: int | None = None,
        topdown: bool = True,  # noqa: FBT001, FBT002 - fsspec's signature
        on_error: Any = "omit",
        **kwargs: Any,
    ) -> Any:
        """As fsspec's; by default (`omit`) passes over what is not there, and over nothing else.

        Raises:
            OSError: a folder cannot be listed.
        """
        kwargs.setdefault("sizes", kwargs.get("detail", False))
        tolerated = _omit_missing if on_error == "omit" else on_error
        return super().walk(path, maxdepth, topdown, on_error=tolerated, **kwargs)

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,  # noqa: FBT001, FBT002 - fsspec's signature
        detail: bool = False,  # noqa: FBT001, FBT002 - fsspec's signature
        **kwargs: Any,
    ) -> Any:
        """As fsspec's; sizes are asked for only with `detail`.

        Raises:
            OSError: a folder cannot be listed.
        """
        kwargs.setdefault("sizes", detail)
        return super().find(path, maxdepth, withdirs, detail, **kwargs)

    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """As fsspec's; sizes are asked for only with `detail`.

        Raises:
            OSError: a folder cannot be listed.
        """
        kwargs.setdefault("sizes", kwargs.get("detail", False))
        return super().glob(path, maxdepth, **kwargs)

    def invalidate_cache(self, path: str | None = None) -> None:
        """List the whole account anew: what is new since is seen by itself, what was deleted within six hours.

        Raises:
            OSError: Twilio cannot be asked.
        """
        with os_errors(path or self.account):
            self._connected().look_again(now=True)

    def created(self, path: str) -> datetime:
        """When the medium was created.

        Raises:
            FileNotFoundError: there is no such name, or Twilio gives no date.
        """
        info = self.info(path)
        if "created" not in info:
            raise FileNotFoundError(f"{path} has no date of creation")
        return datetime.fromtimestamp(info["created"], UTC)

    def modified(self, path: str) -> datetime:
        """When it was completed, if known, else created: the modification time that a mount shows."""
        return datetime.fromtimestamp(self.info(path)["mtime"], UTC)

    def ukey(self, path: str) -> str:
        """The same text as long as it is the same object, on every machine."""
        info = self.info(path)
        sid = info.get("sid", "")
        with os_errors(path):
            identity = self._connected().identity_of(sid) if sid else ""
        told = (sid or info["name"], identity, info["size"], info["mtime"])
        return sha256(repr(told).encode()).hexdigest()

    def checksum(self, path: str) -> int:
        """`ukey` as a number. Not one of the content, for Twilio has none of the plaintext."""
        return int(self.ukey(path), 16)

    # Reading

    def open_medium(self, path: str, object_key: ObjectKey | None = None) -> OpenFile:
        """An open file, for `MediumFile`; of that very object, if it is not None.

        Raises:
            OSError: it cannot be opened, or is another object (ESTALE).
        """
        with os_errors(path):
            account = self._connected()
            return account.open(f"/{path}") if object_key is None else account.open_same(f"/{path}", object_key)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """Bytes `[start, end)`; as of a slice, negative ones count from the end, and none are in a reversed range.

        Raises:
            OSError: it could not be read.
        """
        with self.open(path, "rb", **kwargs) as file:
            begin, stop, _ = slice(start, end).indices(file.size)
            file.seek(begin)
            data: bytes = file.read(max(0, stop - begin))
            return data

    def cat_ranges(
        self,
        paths: list[str],
        starts: int | Sequence[int | None] | None,
        ends: int | Sequence[int | None] | None,
        max_gap: int | None = None,
        on_error: str = "return",
        **_kwargs: Any,
    ) -> list[Any]:
        """Bytes `[start, end)` of each path, as many at a time as there are connections.

        Raises:
            OSError: one could not be read; only if `on_error` is not `return`, which gives the exception in its place.
        """
        if max_gap is not None:
            raise NotImplementedError("max_gap")
        begins, stops = (
            [each] * len(paths) if each is None or isinstance(each, int) else list(each) for each in (starts, ends)
        )

        def part(path: str, start: int | None, end: int | None) -> Any:
            try:
                return self.cat_file(path, start, end)
            except OSError as failure:
                if on_error == "return":
                    return failure
                raise

        ranges = list(zip(paths, begins, stops, strict=True))
        return at_once(lambda each: part(*each), ranges, self._connected().connections)

    def get_file(
        self, rpath: str, lpath: Any, callback: Any = DEFAULT_CALLBACK, outfile: Any = None, **kwargs: Any
    ) -> None:
        """As fsspec's, but a file has its name only when it is whole; what had it before stays until then.

        The file has mode 0600. What a link leads to is replaced, unless the link is somebody else's.

        Raises:
            OSError: it could not be read, or not be written.
        """
        goal = None if outfile is not None or isfilelike(lpath) or self.isdir(rpath) else _goal(Path(lpath))
        if goal is None:
            super().get_file(rpath, lpath, callback=callback, outfile=outfile, **kwargs)
            return
        goal.parent.mkdir(parents=True, exist_ok=True)
        with os_errors(rpath), replacing(goal, None, self._shortcomings) as file:
            super().get_file(rpath, lpath, callback=callback, outfile=file, **kwargs)

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        size: int | None = None,
        **_kwargs: Any,
    ) -> MediumFile:
        if mode != "rb":
            refuse_change(path)
        return MediumFile(self, path, block_size, size)

    # Changes

    def _refuse(self, path: Any = "", *_args: Any, **_kwargs: Any) -> NoReturn:
        refuse_change(path)

    mkdir = makedirs = rmdir = touch = pipe = pipe_file = put = put_file = _refuse
    cp_file = copy = mv = rm = rm_file = _rm = _refuse

    # The account

    def _connected(self) -> Account:
        account = self._account
        if account is None or account.pid != os.getpid():
            with os_errors(self._source):
                account = self._account = account_for(self._source, self._overrides)
        return account

    def _type(self, path: str) -> str | None:
        path = self._strip_protocol(path)
        with os_errors(path):
            try:
                return self._connected().ask(lambda vfs: type_of(vfs, path))
            except (NoSuchName, NotADirectory):
                return None


def _checked(source: str, options: Mapping[str, Any]) -> dict[str, str]:
    """The options as texts; whether they can be used is known at once, whatever machine is to use them.

    Raises:
        ValueError: they cannot.
    """
    texts = {name: _text(value) for name, value in options.items() if value is not None}
    try:
        parse_source(source)
        for name, text in texts.items():
            refuse_secret(name)
            if name not in OPTIONS:
                raise unknown_option(name)
            OPTIONS[name].parse(text)
    except ConfigError as error:
        raise ValueError(str(error)) from None
    return texts


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ":".join(map(str, value))
    return os.fspath(value) if isinstance(value, PurePath) else str(value)


def _goal(path: Path) -> Path | None:
    """Where a new file goes; None for a folder, and for a device or a pipe, which is written to.

    What somebody else put there, in a folder that others may write to, is neither followed nor written to.
    """
    with suppress(FileNotFoundError):
        if path.lstat().st_uid not in (0, os.geteuid()) and not path.is_dir():
            return path
    return path.resolve() if path.is_file() or not path.exists() else None


def _is_shown(folder: str, name: str) -> bool:
    return name not in (".", "..") and not (folder == "" and name in _UNLISTED)


def _omit_missing(failure: OSError) -> None:
    """What `walk` does when a folder cannot be listed."""
    if not isinstance(failure, FileNotFoundError | NotADirectoryError):
        raise failure
