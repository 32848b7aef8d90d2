"""Which libfuse is taken; each case in a process of its own, for a libfuse once loaded stays."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuse.mounting import ROOT
from twfs.errors import ConfigError
from twfs.fuse.binding import Binding, Choice
from twfs.invocation import pip_remedy

SCRIPT = """
import sys
from twfs.errors import ConfigError
from twfs.fuse.binding import load_binding
assert not {"fuse", "mfusepy"} & set(sys.modules), "imported too early"
try:
    binding = load_binding(sys.argv[1])
except ConfigError as error:
    print("ConfigError", error)
else:
    print(binding.name, binding.libfuse_version)
"""


def chosen(choice: Choice, shadows: Path | None = None, **environment: str) -> str:
    """What `load_binding` answers when the modules in `shadows` come first."""
    path = f"{shadows}:{ROOT}" if shadows else str(ROOT)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, choice],
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": path} | environment,
    )
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.fixture(scope="module")
def at_hand() -> set[str]:
    found = {chosen("3").split()[0], chosen("2").split()[0]}
    if found != {"mfusepy", "fusepy"}:
        pytest.skip("this needs both libfuse versions and both bindings")
    return found


def missing(folder: Path, *names: str) -> Path:
    """A folder of modules that cannot be imported."""
    for name in names:
        (folder / f"{name}.py").write_text("raise ImportError('not installed')\n")
    return folder


@pytest.mark.usefixtures("at_hand")
def test_libfuse3_comes_first() -> None:
    assert chosen("auto").startswith("mfusepy 3.")
    assert chosen("3").startswith("mfusepy 3.")
    assert chosen("2").startswith("fusepy 2.")


@pytest.mark.usefixtures("at_hand")
def test_without_mfusepy_libfuse2_serves(tmp_path: Path) -> None:
    assert chosen("auto", missing(tmp_path, "mfusepy")).startswith("fusepy 2.")


@pytest.mark.usefixtures("at_hand")
def test_without_fusepy_mfusepy_serves_libfuse2(tmp_path: Path) -> None:
    assert chosen("2", missing(tmp_path, "fuse")).startswith("mfusepy 2.")


@pytest.mark.usefixtures("at_hand")
def test_another_package_named_fuse_is_passed_by(tmp_path: Path) -> None:
    (tmp_path / "fuse.py").write_text("class Fuse: pass\n")
    assert chosen("2", tmp_path).startswith("mfusepy 2.")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    shadows = missing(tmp_path, "fuse", "mfusepy")
    assert pip_remedy("mfusepy") in chosen("3", shadows)
    assert "libfuse2" in chosen("2", shadows)
    answer = chosen("auto", shadows)
    assert answer.startswith("ConfigError no usable libfuse; install the Debian package libfuse2 ")
    assert "\n" not in answer


class Recorder:
    """A package like mfusepy whose FUSE notes how it was called."""

    def __init__(self) -> None:
        self.options: dict[str, object] = {}
        recorder = self

        class Fuse:
            def __init__(self, operations: object, mountpoint: str, **options: object) -> None:
                recorder.options = options
                operations.init("/")  # type: ignore[attr-defined]

        self.FUSE = Fuse

    def fuse_exit(self) -> None:
        """Ends by itself."""


def options_of(version: str, name: str = "mfusepy", **switches: bool) -> dict[str, object]:
    recorder = Recorder()
    binding = Binding(name, version, recorder)
    binding.run(object(), "/mnt", fsname="twilio:AC1", attr_timeout=60, **switches)  # type: ignore[arg-type]
    return recorder.options


@pytest.mark.parametrize("version", ["3.10", "3.16", "2.9"])
def test_options_for_all(version: str) -> None:
    options = options_of(version)
    expected = {
        "raw_fi": True,
        "foreground": True,
        "fsname": "twilio:AC1",
        "subtype": "twfs",
        "ro": True,
        "default_permissions": True,
        "use_ino": True,
        "attr_timeout": 60,
        "entry_timeout": 60,
        "negative_timeout": 0,
        "noforget": False,
        "allow_other": False,
    }
    assert {name: options[name] for name in expected} == expected


@pytest.mark.parametrize("version", ["3.16", "2.9"])
def test_where_files_can_be_deleted_libfuse_renames_none_that_is_open(version: str) -> None:
    options = options_of(version, read_only=False)
    assert (options["ro"], options["hard_remove"]) == (False, True)
    assert options_of(version)["hard_remove"] is False
    assert {name for name, value in options.items() if value != options_of(version)[name]} == {"ro", "hard_remove"}


def test_names_are_remembered_where_that_is_wanted() -> None:
    assert options_of("3.16", noforget=True)["noforget"] is True


def test_options_that_only_some_versions_know() -> None:
    assert "max_threads" not in options_of("3.10")
    assert options_of("3.16")["max_threads"] == 64
    assert "nonempty" not in options_of("3.16")
    assert options_of("2.9")["nonempty"] is True
    assert options_of("2.9")["max_background"] == 64


@pytest.mark.parametrize("fsname", ["a,allow_other", ""])
def test_refused_sources(fsname: str) -> None:
    binding = Binding("mfusepy", "3.16", Recorder())
    with pytest.raises(ConfigError, match="commas"):
        binding.run(object(), "/mnt", fsname=fsname, attr_timeout=1)  # type: ignore[arg-type]
