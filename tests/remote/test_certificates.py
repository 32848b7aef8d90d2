import re
from pathlib import Path

import certifi
import pytest

from tests.security.tls import Authority
from twfs.remote.certificates import VARIABLES, authorities


def test_the_first_variable_that_is_set_counts() -> None:
    environment = {name: f"/{name}" for name in VARIABLES}
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        found = authorities(environment)
        assert (found.path, found.variable, found.source) == (f"/{name}", name, f"{name}=/{name}")
        environment[name] = ""
    found = authorities(environment)
    assert (found.path, found.variable, found.fault()) == (certifi.where(), "", "")


def test_a_bundle_or_a_folder_of_certificates_will_do(tmp_path: Path) -> None:
    bundle = Authority(tmp_path, "trusted").bundle
    assert authorities({"SSL_CERT_FILE": str(bundle)}).fault() == ""
    assert authorities({"CURL_CA_BUNDLE": str(bundle.parent)}).fault() == ""


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("nowhere", None, "no such file or directory"),
        ("empty", b"", "there is no certificate in it"),
        ("key.pem", b"-----BEGIN PRIVATE KEY-----", "there is no certificate in it"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_variable(
    tmp_path: Path, name: str, content: bytes | None, why: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    fault = authorities({"SSL_CERT_FILE": str(tmp_path / name)}).fault()
    assert re.fullmatch(rf".*SSL_CERT_FILE=.*/{name} cannot be used \({why}\); correct or unset SSL_CERT_FILE", fault)
    (tmp_path / "folder").mkdir()
    assert "the folder is empty" in authorities({"SSL_CERT_FILE": str(tmp_path / "folder")}).fault()
