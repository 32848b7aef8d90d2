import base64
import errno
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest
from fsspec.callbacks import Callback
from fsspec.core import url_to_fs

from tests.mount.harness import needs_root
from tests.transfer.awkward import Ways, awkward
from twfs.cli.simulated import Simulated
from twfs.fsspec import NotConfigured, TwilioFileSystem
from twfs.resources import Kind
from twfs.simulator.exchange import Request
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject
from twfs.simulator.samples import sample_bytes


def names_of(simulated: Simulated) -> dict[str, bytes | None]:
    """What must be there, with its content; None where no key fits."""
    account = simulated.simulator.account
    expected: dict[str, bytes | None] = {}
    for kind in Kind:
        for medium in account.media(kind):
            if medium.status == "completed":
                content = account.plain(medium.sid) if medium.stored else b""
                is_lost = medium.track_name == "dave-lost-key"
                expected[f"{kind}/{medium.sid}.{medium.container}"] = None if is_lost else content
    return expected


def lost_key(fs: TwilioFileSystem) -> str:
    (name,) = fs.glob("by-date/**/*_dave-lost-key_*")
    return f"recordings/{name.rpartition('_')[2]}"


def a_file(fs: TwilioFileSystem) -> str:
    """One of 760,194 bytes."""
    (name,) = fs.glob("by-room/*/*_erin-screen_*")
    return str(name)


def test_every_medium_once_with_its_exact_size_and_content(simulated: Simulated, fs: TwilioFileSystem) -> None:
    expected = names_of(simulated)
    found = fs.find("", detail=True)
    assert list(found) == sorted(expected)
    for name, content in expected.items():
        if content is not None:
            assert found[name]["size"] == len(content)
            assert fs.cat_file(name) == content


def test_url_names_account_and_path(simulated: Simulated, fs: TwilioFileSystem) -> None:
    options = {"config": str(simulated.config_file)}
    name = next(name for name, content in names_of(simulated).items() if content)
    with fsspec.open(f"twilio://demo/{name}", **options) as file:
        assert file.read() == names_of(simulated)[name]
    assert url_to_fs("twilio://demo", **options)[1] == ""
    assert url_to_fs(f"twilio:///{name}", account="demo", **options) == (fs, name)
    assert fsspec.filesystem("twilio", account="demo", **options) == fs
    assert fs.unstrip_protocol(name) == fs.unstrip_protocol(f"twilio://demo/{name}") == f"twilio://demo/{name}"


def test_names_cost_one_listing_and_no_media(simulated: Simulated, fs: TwilioFileSystem) -> None:
    media = fs.glob("**/*.mkv") + fs.glob("**/*.mka") + fs.glob("compositions/*")
    assert set(media) == set(names_of(simulated)) == set(fs.find("/"))
    assert fs.exists(media[0])
    assert fs.isfile(media[0])
    assert fs.isdir("recordings")
    assert not fs.exists("recordings/RT" + "0" * 32 + ".mkv")
    assert not fs.exists(f"{media[0]}/more")
    simulator = simulated.simulator
    assert (simulator.count("api.list"), simulator.count("api"), simulator.count("s3")) == (2, 2, 0)


def test_sizes_cost_one_probe_each_and_only_once(simulated: Simulated, fs: TwilioFileSystem) -> None:
    readable = [content for name, content in names_of(simulated).items() if name.startswith("recordings") and content]
    infos = fs.ls("recordings")
    requests = simulated.simulator.count("s3")
    assert requests == len(infos) - 1  # one has no media
    assert sum(info["size"] for info in infos if info["name"] != lost_key(fs)) == sum(map(len, readable))
    fs.ls("recordings")
    fs.du("recordings")
    assert simulated.simulator.count("s3") == requests


def test_what_info_tells(fs: TwilioFileSystem) -> None:
    name = a_file(fs)
    info = fs.info(name)
    assert info["name"] == name
    assert (info["type"], info["size"]) == ("file", 760194)
    assert (info["kind"], info["codec"], info["track_name"]) == ("recording", "H264", "erin-screen")
    assert info["encrypted"] is True
    assert (type(info["duration"]), type(info["offset"])) == (int, int)
    assert fs.created(name).timestamp() == info["created"]
    assert fs.created(name) == fs.modified(name) == datetime.fromtimestamp(info["mtime"], UTC)
    assert fs.info("recordings")["type"] == "directory"
    assert fs.info("")["type"] == "directory"
    assert fs.ls(name, detail=False) == [name]
    (composition,) = fs.glob("compositions/*.mp4")
    assert (fs.modified(composition) - fs.created(composition)).total_seconds() == 120
    with pytest.raises(FileNotFoundError):
        fs.created("recordings")


def test_views_lead_to_the_same_media_and_are_not_listed(simulated: Simulated, fs: TwilioFileSystem) -> None:
    assert fs.ls("", detail=False) == ["recordings", "compositions"]
    dated = fs.find("by-date")
    assert len(dated) == len(names_of(simulated))
    view = a_file(fs)
    plain = f"recordings/{view.rpartition('_')[2]}"
    assert fs.cat_file(view) == fs.cat_file(plain)
    assert fs.ukey(view) == fs.ukey(plain)


def test_ukey_tells_objects_apart(simulated: Simulated, fs: TwilioFileSystem) -> None:
    other = TwilioFileSystem("demo", config=str(simulated.config_file), skip_instance_cache=True)
    keys = [fs.ukey(name) for name in fs.find("")]
    assert len(set(keys)) == len(keys)
    assert [other.ukey(name) for name in fs.find("")] == keys
    assert fs.checksum(a_file(fs)) == int(fs.ukey(a_file(fs)), 16)


def test_ukey_tells_an_object_from_the_one_it_replaced_under_its_etag(
    simulated: Simulated, fs: TwilioFileSystem
) -> None:
    account, name = simulated.simulator.account, a_file(fs)
    sid, before = fs.info(name)["sid"], fs.ukey(name)
    old = account.medium(sid).stored
    assert isinstance(old, StoredObject)
    other_iv = {"x-amz-iv": base64.b64encode(bytes(16)).decode()}
    account.replace(sid, replace(old, metadata={**old.metadata, **other_iv}))
    with pytest.raises(OSError, match="changed while open"):
        fs.cat_file(name)
    assert fs.ukey(name) != before


def test_reading_as_of_any_file(fs: TwilioFileSystem) -> None:
    name, content = a_file(fs), sample_bytes("screen-h264.mkv")
    with fs.open(name) as file:
        assert file.size == len(content)
        file.seek(-10, 2)
        assert file.read() == content[-10:]
        assert file.read(5) == b""
        file.seek(700_000)
        buffer = bytearray(100_000)
        assert file.readinto(buffer) == 60_194
        assert buffer[:60_194] == content[700_000:]
        assert file.readinto(buffer) == 0
        file.seek(1000)
        assert (file.tell(), file.read(3), file.tell()) == (1000, content[1000:1003], 1003)
        file.seek(0)
        assert b"".join(file.readlines()) == content
    with pytest.raises(ValueError, match="closed"):
        file.readinto(buffer)
    with pytest.raises(ValueError, match="closed"):
        file.read(1)


def test_ranges_of_several_media_at_once(simulated: Simulated, fs: TwilioFileSystem) -> None:
    expected = {name: content for name, content in names_of(simulated).items() if content}
    paths = list(expected) * 2
    starts = [0] * len(expected) + [-100] * len(expected)
    ends: list[int | None] = [100] * len(expected) + [None] * len(expected)
    heads_and_tails = [content[:100] for content in expected.values()] + [
        content[-100:] for content in expected.values()
    ]
    assert fs.cat_ranges(paths, starts, ends) == heads_and_tails
    assert fs.cat_ranges([], [], []) == []
    good, bad = fs.cat_ranges([paths[0], lost_key(fs)], 0, 10)
    assert good == expected[paths[0]][:10]
    assert bad.errno == errno.ENOKEY
    with pytest.raises(OSError, match="no"):
        fs.cat_ranges([lost_key(fs)], 0, 10, on_error="raise")
    with pytest.raises(ValueError, match="zip"):
        fs.cat_ranges([paths[0]], [0, 1], [1, 2])


@pytest.mark.parametrize("start", [None, 0, 10, -10, 10**9, -(10**9)])
@pytest.mark.parametrize("end", [None, 0, 5, 20, -5, 10**9, -(10**9)])
def test_a_range_has_the_bytes_of_a_slice(fs: TwilioFileSystem, start: int | None, end: int | None) -> None:
    content = sample_bytes("screen-h264.mkv")
    assert fs.cat_file(a_file(fs), start, end) == content[start:end]
    assert fs.cat_ranges([a_file(fs)], [start], [end]) == [content[start:end]]


def test_get_copies_whole_media_or_nothing(simulated: Simulated, fs: TwilioFileSystem, tmp_path: Path) -> None:
    name, goal = a_file(fs), tmp_path / "there"
    fs.get(name, str(goal))
    assert goal.read_bytes() == sample_bytes("screen-h264.mkv")
    plain = f"recordings/{name.rpartition('_')[2]}"
    fresh = TwilioFileSystem("demo", config=str(simulated.config_file), timeout=1, skip_instance_cache=True)
    simulated.simulator.inject(Fault("s3.get", status=500, times=None, match=is_of_bytes))
    with pytest.raises(OSError, match=plain):
        fresh.get_file(plain, str(tmp_path / "half"))
    assert not (tmp_path / "half").exists()


def test_get_keeps_what_was_there_until_it_has_all(simulated: Simulated, fs: TwilioFileSystem, tmp_path: Path) -> None:
    goal = tmp_path / "there"
    goal.write_bytes(b"earlier")
    for refused in (lost_key(fs), "recordings/nothing"):
        with pytest.raises(OSError, match=refused):
            fs.get_file(refused, str(goal))
    name, seen = a_file(fs), []

    class Watch(Callback):  # type: ignore[misc]  # fsspec has no types
        def relative_update(self, inc: int = 1) -> None:
            seen.append((inc, goal.read_bytes()))

    fs.get_file(name, goal, callback=Watch())
    assert seen[0] == (760194, b"earlier")
    assert goal.read_bytes() == sample_bytes("screen-h264.mkv")
    assert [path.name for path in tmp_path.glob("*there*")] == ["there"]


def test_get_into_what_is_no_file_of_its_own(fs: TwilioFileSystem, tmp_path: Path) -> None:
    name, content = a_file(fs), sample_bytes("screen-h264.mkv")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/file")
    fs.get_file(name, str(tmp_path / "link"))
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "file").read_bytes() == content
    with pytest.raises(IsADirectoryError):
        fs.get_file(name, str(tmp_path / "folder"))
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as aside:
        reading = aside.submit((tmp_path / "pipe").read_bytes)
        fs.get_file(name, str(tmp_path / "pipe"))
        assert reading.result() == content


@pytest.mark.timeout(60)
@needs_root
@pytest.mark.parametrize("plant", [lambda path: path.symlink_to("precious"), os.mkfifo], ids=["link", "pipe"])
def test_get_neither_follows_nor_waits_for_what_somebody_else_put_there(
    fs: TwilioFileSystem, tmp_path: Path, plant: Callable[[Path], None]
) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    goal = tmp_path / "goal"
    plant(goal)
    os.chown(goal, 12_001, 12_001, follow_symlinks=False)
    fs.get_file(a_file(fs), str(goal))
    assert stat.S_ISREG(goal.lstat().st_mode)
    assert goal.read_bytes() == sample_bytes("screen-h264.mkv")
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_file_that_get_makes_is_the_users_alone(fs: TwilioFileSystem, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        fs.get(a_file(fs), str(tmp_path / "file"))
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


@needs_root
@pytest.mark.parametrize("name", ["utimens", "flock", "fsync"])
def test_get_to_a_destination_that_refuses_something(fs: TwilioFileSystem, tmp_path: Path, name: str) -> None:
    with awkward(tmp_path, Ways({name: errno.ENOTSUP})) as folder:
        fs.get_file(a_file(fs), str(folder / "file"))
        assert (folder / "file").read_bytes() == sample_bytes("screen-h264.mkv")
        assert [path.name for path in folder.iterdir()] == ["file"]


def is_of_bytes(request: Request) -> bool:
    """Whether it is no probe."""
    return not request.headers["range"].startswith("bytes=-")


@pytest.mark.parametrize(
    "change",
    [
        lambda fs, name: fs.open(name, "wb"),
        lambda fs, name: fs.open(name, "ab"),
        lambda fs, name: fs.open(name, "xb"),
        lambda fs, name: fs.open(name, "w"),
        lambda fs, name: fs.write_text(name, "x"),
        lambda fs, name: fs.pipe(name, b"x"),
        lambda fs, name: fs.pipe_file(name, b"x"),
        lambda fs, name: fs.put("/etc/hostname", name),
        lambda fs, name: fs.put_file("/etc/hostname", name),
        lambda fs, name: fs.cp_file(name, "recordings/x"),
        lambda fs, name: fs.copy(name, "recordings/x"),
        lambda fs, name: fs.mv(name, "recordings/x"),
        lambda fs, name: fs.rename(name, "recordings/x"),
        lambda fs, name: fs.rm(name),
        lambda fs, name: fs.rm("recordings", recursive=True),
        lambda fs, name: fs.rm_file(name),
        lambda fs, name: fs.delete(name),
        lambda fs, name: fs.touch(name),
        lambda fs, name: fs.mkdir("x"),
        lambda fs, name: fs.makedirs("x/y", exist_ok=True),
        lambda fs, name: fs.mkdirs("x/y"),
        lambda fs, name: fs.rmdir("recordings"),
    ],
)
def test_every_change_is_refused_without_asking_anybody(change: Callable[[TwilioFileSystem, str], None]) -> None:
    not_configured = TwilioFileSystem()
    with pytest.raises(OSError, match="read-only") as refused:
        change(not_configured, "recordings/RT" + "1" * 32 + ".mkv")
    assert refused.value.errno == errno.EROFS


def test_missing_names(fs: TwilioFileSystem) -> None:
    for ask in (fs.info, fs.ls, fs.open, fs.cat_file, fs.created, fs.ukey):
        with pytest.raises(FileNotFoundError):
            ask("recordings/nothing")
    with pytest.raises(IsADirectoryError):
        fs.open("recordings")
    assert fs.find("nothing") == []
    assert fs.glob("nothing/*") == []


def test_no_key_for_one_medium_is_its_own_trouble(fs: TwilioFileSystem) -> None:
    name = lost_key(fs)
    assert fs.info(name)["size"] == len(sample_bytes("camera-vp8.mkv"))
    with pytest.raises(OSError, match="the private key at hand does not fit") as refused:
        fs.open(name)
    assert refused.value.errno == errno.ENOKEY
    assert refused.value.filename == name


def test_refused_credentials(simulated: Simulated) -> None:
    simulated.simulator.inject(Fault("api", status=401, times=None))
    fs = TwilioFileSystem("demo", config=str(simulated.config_file))
    for ask in (fs.exists, fs.ls, fs.find, fs.glob, fs.isdir, fs.isfile):
        with pytest.raises(PermissionError):
            ask("recordings/*")


def test_outage_is_an_error_and_never_an_empty_folder(simulated: Simulated) -> None:
    simulated.simulator.inject(Fault("api", status=503, times=None))
    fs = TwilioFileSystem("demo", config=str(simulated.config_file), timeout=1)
    for ask in (fs.exists, fs.ls, fs.find, fs.glob, fs.isdir, fs.isfile, fs.info):
        with pytest.raises(OSError, match="demo"):
            ask("recordings/*")


def test_outage_while_sizes_are_asked_for(simulated: Simulated) -> None:
    fs = TwilioFileSystem("demo", config=str(simulated.config_file), timeout=3)
    names = fs.find("recordings")
    simulated.simulator.inject(Fault("api.media", status=503, times=None))
    with pytest.raises(OSError, match="recordings"):
        fs.ls("recordings")
    with pytest.raises(OSError, match="recordings"):
        fs.find("recordings", detail=True)
    assert fs.find("recordings") == names


def test_trouble_of_one_medium_leaves_its_size_unknown(simulated: Simulated, fs: TwilioFileSystem) -> None:
    sick = fs.find("recordings")[0]
    sid = sick.partition("/")[2][:34]
    too_much = {"x-amz-meta-more": "x" * 20_000}
    simulated.simulator.inject(Fault("s3.get", headers=too_much, times=None, match=sid))
    infos = {info["name"]: info["size"] for info in fs.ls("recordings")}
    assert infos.pop(sick) is None
    assert None not in infos.values()


def test_new_media_are_found(simulated: Simulated, fs: TwilioFileSystem) -> None:
    before = fs.find("")
    sid = simulated.simulator.account.add_recording(None)
    name = f"recordings/{sid}.mkv"
    assert not fs.exists(name)  # the listing is younger than `refresh`
    fs.ls("recordings", refresh=True, sizes=False)
    assert set(fs.find("")) - set(before) == {name}
    another = f"recordings/{simulated.simulator.account.add_recording(None)}.mkv"
    fs.invalidate_cache()
    assert fs.exists(another)


def test_outage_of_a_refresh_asked_for_is_told(simulated: Simulated) -> None:
    fs = TwilioFileSystem("demo", config=str(simulated.config_file), timeout=3)
    names = fs.find("")
    simulated.simulator.inject(Fault("api.list", status=503, times=None))
    with pytest.raises(OSError, match="demo"):
        fs.invalidate_cache()
    assert fs.find("") == names


@pytest.mark.parametrize(
    ("account", "options", "complaint"),
    [
        ("demo", {"cachesize": "1G"}, "did you mean cache_size"),
        ("demo", {"cache_size": "much"}, "is not a size"),
        ("demo", {"api_secret": "hunter2"}, "api_secret is a secret"),
        ("demo", {"auth_token": "hunter2"}, "auth_token is a secret"),
        ("demo", {"password": "hunter2"}, "password is a secret"),
    ],
)
def test_wrong_options_are_refused_at_once(account: str, options: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        TwilioFileSystem(account, **options)
    assert "hunter2" not in str(refused.value)


def test_values_of_options_may_be_pythons_own(simulated: Simulated) -> None:
    keys = [simulated.folder / "private_key.pem"]
    fs = TwilioFileSystem(
        "demo",
        config=simulated.config_file,
        private_key=keys,
        timeout=5,
        cache_size=2**26,
        allow_other=False,
        room=None,
        use_listings_cache=False,
    )
    assert fs.cat_file(a_file(fs)) == sample_bytes("screen-h264.mkv")
    only = TwilioFileSystem("demo", config=simulated.config_file, kind="compositions")
    assert {name.partition("/")[0] for name in only.find("")} == {"compositions"}


@pytest.mark.parametrize("how", ["ls", "info", "exists", "isdir", "find", "glob", "walk", "open", "cat", "created"])
def test_account_that_is_not_configured(simulated: Simulated, how: str) -> None:
    fs = TwilioFileSystem("nobody", config=str(simulated.config_file))
    with pytest.raises(ValueError, match="no profile 'nobody'") as refused:
        list(getattr(fs, how)("recordings/x*"))
    assert isinstance(refused.value, NotConfigured)
    assert refused.value.errno == errno.EINVAL
    assert not isinstance(refused.value, FileNotFoundError)


@pytest.mark.parametrize(
    ("options", "missing"),
    [({"config": "/nowhere/config.toml"}, "/nowhere/config.toml"), ({"credentials": "/nowhere/c"}, "/nowhere/c")],
)
def test_files_that_are_not_configured_are_named(options: dict[str, str], missing: str) -> None:
    with pytest.raises(ValueError, match=missing):
        TwilioFileSystem("AC" + "1" * 32, **options).ls("")


def test_details_have_the_types_of_what_they_say(fs: TwilioFileSystem) -> None:
    types = {"size": int, "mtime": float, "created": float, "duration": int, "offset": int, "encrypted": bool}
    seen = set()
    for info in [*fs.ls("recordings", detail=True), *fs.ls("compositions", detail=True)]:
        seen |= {name for name in types if name in info}
        assert {name: type(value) for name, value in info.items()} == {name: types.get(name, str) for name in info}
    assert seen == set(types)
