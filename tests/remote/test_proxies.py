import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twfs.remote.proxies import proxy_fault


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:3128",
        "127.0.0.1:3128",
        "proxy",
        "https://user:word@proxy.test:443",
        "http://[::1]:8080",
        "socks5h://proxy:1080",
    ],
)
def test_what_a_proxy_may_be(url: str) -> None:
    assert proxy_fault(url, "https") == ""


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://", "names no proxy"),
        ("http://user:word@:3128", "names no proxy"),
        ("http://proxy:99999", "names no proxy"),
        ("http://proxy:word", "names no proxy"),
        ("http://[::1", "names no proxy"),
        ("http://a proxy:1", "names no proxy"),
        ("ftp://proxy:21", "a kind of proxy that is not known"),
        ("socks://proxy:1080", "a kind of proxy that is not known"),
    ],
)
def test_what_is_none_is_said_with_its_variable_and_how_one_looks(url: str, words: str) -> None:
    fault = proxy_fault(url, "https")
    assert fault.startswith("https_proxy (or all_proxy) names")
    assert words in fault
    assert fault.endswith("set it to http://HOST:PORT or socks5h://HOST:PORT")


def test_without_pysocks_it_is_named_with_the_interpreter_that_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/a folder/python")
    monkeypatch.setitem(sys.modules, "socks", None)
    assert proxy_fault("SOCKS5://proxy", "https").endswith("run: '/opt/a folder/python' -m pip install PySocks")
    assert proxy_fault("http://proxy", "https") == ""


@given(st.text(), st.from_regex(r"[a-z0-9]{12,20}", fullmatch=True))
def test_no_proxy_s_password_is_shown(rest: str, password: str) -> None:
    assert password not in proxy_fault(f"http://user:{password}@{rest}", "https")
