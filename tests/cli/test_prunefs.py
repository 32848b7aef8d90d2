import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.cli.prunefs import with_twfs, without_twfs

DEBIAN = """\
PRUNE_BIND_MOUNTS="yes"
# PRUNENAMES=".git .bzr .hg .svn"
PRUNEPATHS="/tmp /var/spool /media"
PRUNEFS="NFS afs autofs fuse.sshfs fuse.twfsx sysfs"
"""

words = st.sampled_from(["NFS", "afs", "fuse.twfsx", "xfuse.twfs", "#", "="])
spaces = st.text(" \t", max_size=3)
settings = st.builds(
    '{}PRUNEFS{}={}"{}"\n'.format,
    spaces,
    spaces,
    spaces,
    st.lists(st.one_of(words, spaces), max_size=6).map(" ".join),
)
others = st.lists(
    st.sampled_from(["# PRUNEFS = off\n", 'PRUNEPATHS="/tmp"\n', "\n", 'PRUNENAMES = ".git"\n']), max_size=3
)


def test_as_debian_has_it() -> None:
    changed = with_twfs(DEBIAN)
    assert changed == DEBIAN.replace("sysfs", "sysfs fuse.twfs")
    assert without_twfs(changed) == DEBIAN


@pytest.mark.parametrize("text", ["", "# nothing\n", 'PRUNEPATHS="/tmp"\n'])
def test_without_the_setting_it_gets_one(text: str) -> None:
    changed = with_twfs(text)
    assert changed.startswith(text)
    assert changed.endswith('\nPRUNEFS = "fuse.twfs"\n')
    assert without_twfs(changed) == text


def test_last_line_without_an_end_stays_a_line() -> None:
    assert 'PRUNEPATHS="/tmp"\n#' in with_twfs('PRUNEPATHS="/tmp"')


@given(others, st.one_of(settings, st.just("")), others)
def test_there_and_back_and_twice_is_once(before: list[str], setting: str, after: list[str]) -> None:
    text = "".join(before) + setting + "".join(after)
    changed = with_twfs(text)
    assert changed != text
    assert with_twfs(changed) == changed
    assert without_twfs(changed) == text
    assert without_twfs(text) == text
