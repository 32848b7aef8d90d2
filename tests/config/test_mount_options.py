import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.config.mount_options import parse_mount_options, split_mount_options
from twfs.config.table import OPTIONS
from twfs.errors import ConfigError

# fmt: off
GENERIC = (
    "rw", "ro", "auto", "noauto", "defaults", "user", "nouser", "users", "owner", "group", "nofail",
    "_netdev", "no_netdev", "dev", "nodev", "suid", "nosuid", "exec", "noexec", "atime", "noatime",
    "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "lazytime", "nolazytime", "async",
    "sync", "iversion", "mand", "nomand", "silent", "loud", "comment=backup", "x-systemd.automount",
    "x-systemd.mount-timeout=60", "X-mount.mkdir=0755", "context=u:r:t", "user=joe",
)
# fmt: on


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", []),
        (",,a,", ["a"]),
        ("a=1,b", ["a=1", "b"]),
        ('a="1,2",b', ["a=1,2", "b"]),
        (r"a=1\,2,b", ["a=1,2", "b"]),
        (r"a=\\,b", ["a=\\", "b"]),
        (r"a=\x,b", [r"a=\x", "b"]),
        ("a\\", ["a\\"]),
        (r"a=\"x", ['a="x']),
    ],
)
def test_splitting(text: str, items: list[str]) -> None:
    assert split_mount_options(text) == items


@given(st.lists(st.text(min_size=1).filter(lambda item: item != "")))
def test_what_was_escaped_comes_back(items: list[str]) -> None:
    escaped = [item.replace("\\", "\\\\").replace(",", "\\,").replace('"', '\\"') for item in items]
    assert split_mount_options(",".join(escaped)) == items


@given(st.lists(st.text(alphabet=st.characters(exclude_characters='"\\'), min_size=1)))
def test_what_was_quoted_comes_back(items: list[str]) -> None:
    assert split_mount_options(",".join(f'"{item}"' for item in items)) == items


@given(st.text(), st.booleans())
def test_any_text_is_understood_or_a_config_error(text: str, sloppy: bool) -> None:
    try:
        found = parse_mount_options(text, sloppy=sloppy)
    except ConfigError:
        return
    assert set(found) <= set(OPTIONS)


def test_unclosed_quote_is_refused() -> None:
    with pytest.raises(ConfigError, match="not closed"):
        split_mount_options('a="1,2')


@pytest.mark.parametrize("item", GENERIC)
def test_generic_options_are_tolerated_and_dropped(item: str) -> None:
    assert parse_mount_options(f"{item},timeout=5") == {"timeout": "5"}


def test_last_of_two_counts() -> None:
    assert parse_mount_options("timeout=5,timeout=6") == {"timeout": "6"}


def test_switch_may_stand_alone_or_have_a_value() -> None:
    assert parse_mount_options("allow_other") == {"allow_other": "yes"}
    assert parse_mount_options("allow_other=no") == {"allow_other": "no"}


def test_missing_value_says_how_to_write_it() -> None:
    with pytest.raises(ConfigError, match="write cache_size=SIZE"):
        parse_mount_options("cache_size")


def test_unknown_option_names_the_nearest_and_is_ignored_when_sloppy() -> None:
    with pytest.raises(ConfigError, match="did you mean cache_size"):
        parse_mount_options("cachesize=1G")
    assert parse_mount_options("cachesize=1G,timeout=5", sloppy=True) == {"timeout": "5"}


@pytest.mark.parametrize("sloppy", [False, True])
def test_secrets_are_refused_even_when_sloppy_and_not_shown(sloppy: bool) -> None:
    with pytest.raises(ConfigError, match="credentials=FILE") as caught:
        parse_mount_options("ro,api_secret=hunter2", sloppy=sloppy)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("sloppy", [False, True])
def test_a_mount_cannot_be_changed(sloppy: bool) -> None:
    with pytest.raises(ConfigError, match="unmount it, and mount it again"):
        parse_mount_options("remount,timeout=5", sloppy=sloppy)


@pytest.mark.parametrize("text", ["ro,allow_delete", "allow_delete=yes,noauto,ro"])
def test_a_mount_that_must_be_read_only_deletes_nothing(text: str) -> None:
    with pytest.raises(ConfigError, match="ro and allow_delete exclude each other"):
        parse_mount_options(text)


@pytest.mark.parametrize("text", ["ro,allow_delete=no", "rw,allow_delete", "allow_delete"])
def test_what_does_not_contradict_itself_is_taken(text: str) -> None:
    assert set(parse_mount_options(text)) == {"allow_delete"}
