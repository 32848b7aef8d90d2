"""What is fuzzed: for each parser its inputs, and what must hold of whatever comes out."""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hypothesis import strategies as st

from tests.catalog.fakes import record_of
from tests.crypto.keys import keyring, rsa_key
from tests.crypto.sealed import seal
from tests.fs.fakes import FakeCatalog, readable
from tests.fuzz.answers import API, HOSTS, Network, Reply
from tests.fuzz.mutation import nearly, nearly_bytes
from tests.mount.harness import pem
from twfs.config.load import load_config
from twfs.config.mount_options import parse_mount_options
from twfs.config.secrets import CredentialSet, read_credentials_file
from twfs.config.table import OPTIONS
from twfs.crypto.envelope import parse_envelope
from twfs.crypto.key_file import holds_private_key, parse_key_file
from twfs.crypto.keypair import generate_key_pair, parse_public_key
from twfs.crypto.unlock import Unlocker
from twfs.errors import BadResource, ConfigError, CredentialsRefused, MediaDamaged, ObjectChanged, RemoteError
from twfs.folders import KnownFolder
from twfs.fs.tree import Tree
from twfs.probe import MediaState, ObjectFacts
from twfs.ranges import ByteRange
from twfs.remote.hosts import is_loopback
from twfs.resources import Kind, ListFilter, Medium, parse_medium
from twfs.transfer.saved_headers import parse_saved_headers, read_saved_headers

MEDIUM = Medium("RT" + "1" * 32, Kind.RECORDING)
OBJECT = bytes(range(256)) * 4
PRE_SIGNED = "https://bucket.s3.amazonaws.com/AC/RT?X-Amz-Expires=3600&X-Amz-Date=20171123T164717Z&X-Amz-Signature=s1gn"


@dataclass(frozen=True)
class Target:
    """One parser."""

    inputs: st.SearchStrategy[Any]
    check: Callable[[Any], None]


def complaint_of(work: Callable[[], object], *documented: type[Exception]) -> str | None:
    """What the documented error says that came out; None if none did. Any other comes through."""
    try:
        work()
    except documented as error:
        return str(error)
    return None


# Metadata headers

_ENVELOPE = seal(bytes(100)).metadata
_NAMES = (*_ENVELOPE, "x-amz-key-v2", "x-amz-cek-alg", "x-amz-wrap-alg", "x-amz-tag-len", "x-amz-3", "x-amz-w", "other")
_VALUES = (
    *_ENVELOPE.values(),
    "AES/CBC/PKCS5Padding",
    "AES/GCM/NoPadding",
    "RSA/ECB/PKCS1Padding",
    "kms+context",
    "96",
)


def _metadata() -> st.SearchStrategy[dict[str, str]]:
    changes = st.dictionaries(st.sampled_from(_NAMES), nearly(_VALUES), max_size=4)
    left_out = st.sets(st.sampled_from(tuple(_ENVELOPE)), max_size=2)
    return st.builds(
        lambda more, less: {name: value for name, value in (_ENVELOPE | more).items() if name not in less},
        changes,
        left_out,
    )


def _check_metadata(given: tuple[dict[str, str], bytes, int]) -> None:
    metadata, tail, stored_size = given
    with contextlib.suppress(MediaDamaged):
        envelope = parse_envelope(metadata)
        assert envelope is None or (len(envelope.iv) == 16 and envelope.wrapped_key is not None)
    facts = ObjectFacts(stored_size, '"e"', metadata, tail)
    info = Unlocker(keyring(0)).interpret(facts)
    assert info.plain_size >= 0
    if info.state is MediaState.READABLE:
        assert not info.encrypted or 1 <= stored_size - info.plain_size <= 16
    else:
        assert info.reason
        assert info.reason.isprintable()


_facts = st.tuples(
    _metadata(),
    st.one_of(st.just(seal(bytes(100)).ciphertext[-32:]), st.binary(max_size=40)),
    st.sampled_from([112, 0, 1, 16, 32, 48, 111, 2**40, 2**63 - 16]),
)


# Listings


def _page(kind: Kind, **meta: object) -> str:
    records = [record_of(kind, number) for number in range(3)]
    return json.dumps({"meta": {"key": kind.value, "next_page_url": None, "page": 0, **meta}, kind.value: records})


_PAGES = (
    _page(Kind.RECORDING),
    _page(Kind.COMPOSITION),
    _page(Kind.RECORDING, next_page_url=f"{API}/v1/Recordings?PageSize=100&Page=1&PageToken=x"),
    _page(Kind.RECORDING, next_page_url="https://attacker.example/v1/Recordings"),
)
_JSON_SPICE = (
    '"',
    "null",
    "[]",
    "{}",
    '"sid":',
    '"\\ud800"',
    '"../../etc/passwd"',
    '"2017-11-23"',
    "[" * 2000,
    "-1e400",
)


def _check_listing(body: str) -> None:
    network = Network([Reply(200, {"Content-Type": "application/json"}, body.encode("utf-8", "surrogatepass"))])
    media: dict[str, Medium] = {}

    def read() -> None:
        for page in network.api.pages(Kind.RECORDING, ListFilter()):
            for record in page:
                with contextlib.suppress(BadResource):
                    medium = parse_medium(Kind.RECORDING, record)
                    media[medium.sid] = medium

    complaint = complaint_of(read, RemoteError)
    assert complaint is None or complaint.isprintable()
    assert all(url.startswith(f"{API}/") for url in network.api_pool.asked)
    _check_tree(media)


def _check_tree(media: Mapping[str, Medium]) -> None:
    """Each medium once, under names of which every file system can make one file."""
    tree = Tree(FakeCatalog({medium: readable(1) for medium in media.values()}), ("status",))
    names = [name for name, _ in tree.children(tree.folder("/recordings"))]
    assert len(names) == len(set(names)) == len(media)
    for folder in _folders(tree, "/"):
        for name, _ in tree.children(folder):
            assert name not in ("", ".", "..")
            assert "/" not in name
            assert len(name.encode()) <= 255
            assert name.isprintable()


def _folders(tree: Tree, path: str) -> Iterator[KnownFolder]:
    folder = tree.folder(path)
    yield folder
    for name, node in tree.children(folder):
        if isinstance(node, KnownFolder):
            yield from _folders(tree, f"{path.rstrip('/')}/{name}")


# The place of the media

_PLACES = (
    PRE_SIGNED,
    "https://bucket.s3.amazonaws.com:443/x?Expires=1511455637",
    "https://user@amazonaws.com/x",
    "http://127.0.0.1:80/x",
    "//evil.example/x",
    "/relative",
    "https://amazonaws.com.evil.example/",
    "https://[::1]/",
)


def _check_place(given: tuple[str, bool]) -> None:
    place, in_header = given
    body = json.dumps({"redirect_to": place}).encode()
    latin = place.encode("utf-8", "surrogatepass").decode("latin-1")
    network = Network([Reply(302, {"Location": latin} if in_header else {}, b"" if in_header else body)], [_part()])
    with contextlib.suppress(RemoteError, CredentialsRefused, MediaDamaged):
        network.store.inspect(MEDIUM, network.deadline())
    for url in network.transport.asked:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        assert parts.scheme == "https"
        assert any(host == suffix or host.endswith(f".{suffix}") for suffix in HOSTS)
        assert not is_loopback(host)


# What S3 says of its answers


_TAIL = ByteRange(len(OBJECT) - 32, len(OBJECT))


def _part(wanted: ByteRange = _TAIL, **headers: str) -> Reply:
    told = {
        "Content-Range": f"bytes {wanted.start}-{wanted.end - 1}/{len(OBJECT)}",
        "Content-Length": str(wanted.size),
        "ETag": '"e1"',
        "x-amz-meta-x-amz-matdesc": "{}",
    }
    return Reply(206, told | headers, OBJECT[wanted.start : wanted.end])


_TOLD = {
    "Content-Range": ("bytes 992-1023/1024", "bytes 0-1023/1024", "bytes */1024", "bytes */0", "bytes 16-47/1024"),
    "Content-Length": ("32", "0", "1024", "16"),
    "ETag": ('"e1"', '"e2"', 'W/"e1"', ""),
    "Retry-After": ("1", "120", "Wed, 21 Oct 2015 07:28:00 GMT"),
    "Location": (PRE_SIGNED, "https://video.twilio.com/x", "http://bucket.s3.amazonaws.com/x", "/x"),
    "x-amz-meta-x-amz-key": tuple(_ENVELOPE.values()),
}
_LYING_HEADERS = st.fixed_dictionaries({}, optional={name: nearly(values) for name, values in _TOLD.items()})
_STATUSES = st.sampled_from((200, 206, 206, 206, 416, 301, 307, 400, 403, 404, 412, 429, 500, 503, 204, 100, 999))
_BODIES = st.one_of(st.just(OBJECT[-32:]), st.just(OBJECT), st.binary(max_size=64))
_WANTED = ByteRange(16, 48)


def _check_s3(given: tuple[int, dict[str, str], bytes]) -> None:
    _check_look(*given)
    _check_range(*given)


def _check_look(status: int, headers: dict[str, str], body: bytes) -> None:
    network = Network([Reply(302, {"Location": PRE_SIGNED})], [Reply(status, {**_part().headers, **headers}, body)])
    with contextlib.suppress(RemoteError, CredentialsRefused, MediaDamaged, ObjectChanged):
        facts = network.store.inspect(MEDIUM, network.deadline())
        assert facts.stored_size >= 0
        assert len(facts.tail) == min(32, facts.stored_size)


def _check_range(status: int, headers: dict[str, str], body: bytes) -> None:
    """Bytes come only under headers that say that they are these bytes of this object."""
    told = {**_part(_WANTED).headers, **headers}
    network = Network([Reply(302, {"Location": PRE_SIGNED})], [Reply(status, told, body)])
    facts, got = ObjectFacts(len(OBJECT), '"e1"'), bytearray()
    with contextlib.suppress(RemoteError, CredentialsRefused, MediaDamaged, ObjectChanged):
        network.loop.call(lambda: network.store.fetch(MEDIUM, _WANTED, facts, got.extend, network.deadline()))
        assert len(got) == _WANTED.size
    if got:
        assert status == 206
        assert told["Content-Range"] == f"bytes 16-47/{len(OBJECT)}"
        assert told["ETag"] == '"e1"'
        assert told["Content-Length"] in ("", "32")


# S3's errors

_ERRORS = tuple(
    f'<?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>{message}</Message><RequestId>1</RequestId></Error>'
    for code, message in (
        ("AccessDenied", "Request has expired"),
        ("ExpiredToken", "The provided token has expired."),
        ("NoSuchKey", "no key"),
        ("SlowDown", "Reduce your request rate"),
    )
)
_XML_SPICE = ("<Code>", "</Code>", "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>", "&b;", "<![CDATA[", "]]>")


def _check_error(given: tuple[int, str]) -> None:
    status, body = given
    lie = Reply(status, {"Content-Type": "application/xml"}, body.encode("utf-8", "surrogatepass"))
    network = Network([Reply(302, {"Location": PRE_SIGNED})], [lie])
    complaint = complaint_of(lambda: network.store.inspect(MEDIUM, network.deadline()), RemoteError, ObjectChanged)
    assert complaint is not None, f"HTTP {status} was taken for an object"
    assert complaint.isprintable()
    assert len(complaint) < 400
    assert "s1gn" not in complaint


_XML = st.tuples(st.sampled_from((400, 403, 404, 405, 412, 500, 503)), nearly(_ERRORS, _XML_SPICE))


# Twilio's errors

_TWILIO_ERRORS = ('{"code":20429,"message":"Too Many Requests","more_info":"https://x","status":429}', "{}", "[]", "")


def _check_api_error(given: tuple[int, str, str]) -> None:
    status, body, asked = given
    headers = {"Retry-After": asked, "Twilio-Request-Id": asked}
    network = Network([Reply(status, headers, body.encode("utf-8", "surrogatepass"))])
    complaint = complaint_of(lambda: network.api.fetch(Kind.RECORDING, MEDIUM.sid), RemoteError, CredentialsRefused)
    assert complaint is not None, f"HTTP {status} was taken for a resource"
    assert complaint.isprintable()
    assert len(complaint) < 500


_API_ERRORS = st.tuples(
    st.sampled_from((302, 400, 401, 403, 404, 429, 500, 503)),
    nearly(_TWILIO_ERRORS, _JSON_SPICE),
    nearly(("1", "RQ0123456789abcdef", "Wed, 21 Oct 2015 07:28:00 GMT")),
)


# Options and configuration

_OPTION_TEXTS = (
    "ro,cache_size=1G,timeout=30,allow_other",
    'private_key="/a,b":/c,credentials=/etc/twfs/credentials',
    "noauto,_netdev,nofail,x-systemd.automount,comment=systemd.automount",
    "file_mode=0440,uid=1000,umask=027,since=2017-11-23,room=RM" + "0" * 32,
    "api_secret=s3cr3tvalue",
    "allow_delete,ro",
)


def _check_options(given: tuple[str, bool]) -> None:
    text, sloppy = given
    found: dict[str, str] = {}
    complaint = complaint_of(lambda: found.update(parse_mount_options(text, sloppy=sloppy)), ConfigError)
    assert "=s3cr3tvalue" not in (complaint or "")
    assert found.keys() <= OPTIONS.keys()
    assert not {"api_secret", "auth_token"} & found.keys()


_TOML = (
    '[profiles.clinic]\naccount_sid = "AC' + "0" * 32 + '"\ncache_size = "1G"\ntimeout = 30\nallow_other = true\n',
    '[profiles.default]\nsince = 2017-11-23\nfile_mode = "0440"\nmedia_hosts = "amazonaws.com"\n[profiles.b]\n',
    '[profiles]\ndefault = { timeout = 1.5, room = "RM' + "0" * 32 + '" }\n',
    "",
)
_TOML_SPICE = ("[profiles.default]\n", "[[", "= {", "'''", "\n\n", "nan", "inf", "[" * 500, "api_secret = 'x'\n")
_ACCOUNT = "AC" + "0" * 32
_ENVIRON = {"TWILIO_ACCOUNT_SID": _ACCOUNT, "TWILIO_AUTH_TOKEN": "t" * 32, "HOME": "/nonexistent"}


def _check_configuration(text: str) -> None:
    with _file(text.encode("utf-8", "surrogatepass")) as path, contextlib.suppress(ConfigError):
        config = load_config("twilio:", {"config": str(path)}, _ENVIRON)
        assert config.timeout >= 1
        assert config.cache_size > 0


# Files with secrets

_CREDENTIALS = (
    f"account_sid={_ACCOUNT}\napi_key=SK{'1' * 32}\napi_secret=hidden-treasure\n",
    f"# comment\n\naccount_sid = {_ACCOUNT}\r\nauth_token = hidden-treasure\r\n",
)


def _check_credentials(text: str) -> None:
    with _file(text.encode("utf-8", "surrogatepass")) as path:
        shown: list[CredentialSet] = []
        complaint = complaint_of(lambda: shown.append(read_credentials_file(path)), ConfigError)
    assert "treasure" not in f"{complaint}{shown}"


@cache
def _key_files() -> tuple[bytes, ...]:
    pair = generate_key_pair(1024)
    return (pem(rsa_key(0)), pair.private, pair.public, generate_key_pair(1024, b"passphrase").private)


def _check_key(given: tuple[bytes, bytes | None]) -> None:
    content, passphrase = given
    found = parse_key_file(content, passphrase, "key")
    assert found.keys or found.passed_over
    assert holds_private_key(content) or not found.keys
    with contextlib.suppress(ConfigError):
        parse_public_key(content, "key")


# Headers that people saved

_SAVED = (
    '  HTTP/1.1 302 Found\n  Location: https://x\n  HTTP/1.1 200 OK\n  ETag: "e"\n  Content-Length: 112\n'
    + "".join(f"  x-amz-meta-{name}: {value}\n" for name, value in _ENVELOPE.items()),
    "HTTP/2 206 \r\ncontent-range: bytes 0-31/112\r\n"
    + "".join(f"X-Amz-Meta-{name}: {value}\r\n" for name, value in _ENVELOPE.items())
    + "\r\nbody",
)


def _check_saved_headers(text: str) -> None:
    found = parse_saved_headers(text)
    if found is not None:
        assert found.stored_size is None or found.stored_size >= 0
        with contextlib.suppress(MediaDamaged):
            parse_envelope(found.metadata)
    with _file(text.encode("utf-8", "surrogatepass")) as path, contextlib.suppress(ConfigError):
        read_saved_headers(path)


@contextlib.contextmanager
def _file(content: bytes) -> Iterator[Path]:
    """A file that only its owner reads."""
    descriptor, name = tempfile.mkstemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    try:
        os.write(descriptor, content)
        os.close(descriptor)
        yield Path(name)
    finally:
        Path(name).unlink()


TARGETS: Mapping[str, Target] = {
    "metadata": Target(_facts, _check_metadata),
    "listing": Target(nearly(_PAGES, _JSON_SPICE), _check_listing),
    "place": Target(st.tuples(nearly(_PLACES), st.booleans()), _check_place),
    "s3-headers": Target(st.tuples(_STATUSES, _LYING_HEADERS, _BODIES), _check_s3),
    "s3-errors": Target(_XML, _check_error),
    "twilio-errors": Target(_API_ERRORS, _check_api_error),
    "options": Target(st.tuples(nearly(_OPTION_TEXTS, tuple(OPTIONS)), st.booleans()), _check_options),
    "configuration": Target(nearly(_TOML, (*_TOML_SPICE, *OPTIONS)), _check_configuration),
    "credentials": Target(nearly(_CREDENTIALS, ("account_sid", "api_key", "auth_token", "\n")), _check_credentials),
    "keys": Target(
        st.tuples(st.deferred(lambda: nearly_bytes(_key_files())), st.sampled_from((None, b"passphrase", b"wrong"))),
        _check_key,
    ),
    "saved-headers": Target(nearly(_SAVED, ("\n", ": ", "x-amz-meta-x-amz-", "HTTP/1.1 200")), _check_saved_headers),
}
