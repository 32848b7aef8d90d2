"""The file systems that updatedb(8) passes over: it must not walk through all media every night."""

import re

_SETTING = re.compile(r'^([ \t]*PRUNEFS[ \t]*=[ \t]*")([^"\n]*)(")', re.MULTILINE)
_FSTYPE = "fuse.twfs"
_WORD = re.compile(rf"(?:^|[ \t]){re.escape(_FSTYPE)}(?!\S)")
_OWN_SETTING = f'# Written by twfs install.\nPRUNEFS = "{_FSTYPE}"\n'


def has_setting(text: str) -> bool:
    """Whether updatedb.conf(5) sets `PRUNEFS`."""
    return _SETTING.search(text) is not None


def with_twfs(text: str) -> str:
    """The content of updatedb.conf(5) with twfs among `PRUNEFS`; the same if it is there already."""
    setting = _SETTING.search(text)
    if setting is None:
        return text + ("" if text.endswith("\n") or not text else "\n") + _OWN_SETTING
    if _WORD.search(setting[2]):
        return text
    separator = " " if setting[2] else ""
    return _replaced(text, setting, f"{setting[2]}{separator}{_FSTYPE}")


def without_twfs(text: str) -> str:
    """What `with_twfs` was given."""
    if text.endswith(_OWN_SETTING):
        return text.removesuffix(_OWN_SETTING)
    setting = _SETTING.search(text)
    return text if setting is None else _replaced(text, setting, _WORD.sub("", setting[2]))


def _replaced(text: str, setting: "re.Match[str]", words: str) -> str:
    return f"{text[: setting.start(2)]}{words}{text[setting.end(2) :]}"
