import pytest

from twfs.errors import ConfigError
from twfs.fs.options import OPTIONS, FsSettings

BY_NAME = {option.name: option for option in OPTIONS}


def test_defaults() -> None:
    assert {name: option.default for name, option in BY_NAME.items()} == {
        "uid": None,
        "gid": None,
        "umask": None,
        "file_mode": 0o440,
        "dir_mode": 0o550,
        "allow_other": False,
        "allow_root": False,
        "allow_delete": False,
    }
    switches = {name for name, option in BY_NAME.items() if option.is_switch}
    assert switches == {"allow_other", "allow_root", "allow_delete"}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("uid", "1000", 1000),
        ("gid", "0", 0),
        ("uid", "root", 0),
        ("gid", "root", 0),
        ("umask", "027", 0o27),
        ("file_mode", "0400", 0o400),
        ("allow_other", "", True),
    ],
)
def test_values(name: str, text: str, value: object) -> None:
    assert BY_NAME[name].parse(text) == value


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("uid", "-1", "out of range"),
        ("uid", "4294967295", "out of range"),
        ("uid", "nobody-of-that-name", "no such user: 'nobody-of-that-name'"),
        ("gid", "", "no such group: ''"),
        ("gid", "a\0b", "no such group"),
        ("umask", "9", "no permission bits"),
        ("dir_mode", "01777", "no permission bits"),
    ],
)
def test_refused_values(name: str, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        BY_NAME[name].parse(text)


def test_umask_takes_bits_away() -> None:
    assert FsSettings(0, 0, 30).masked(0o777) == 0o777
    assert FsSettings(0, 0, 30, umask=0o027).masked(0o777) == 0o750
