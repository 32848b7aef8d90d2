"""What can go wrong, and what a reader sees then: the table that tests act out and README.md of this folder shows.

`python -m tests.faults.cases` prints its table.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

from tests.faults.scene import ABSENT, Scene
from twfs.ranges import ByteRange
from twfs.simulator.exchange import Answer, Slice
from twfs.simulator.faults import Fault
from twfs.simulator.objects import StoredObject
from twfs.simulator.sealing import SealingKey, seal

TIMEOUT = 8.0
"""Seconds any operation may take, in the mounts of these tests: six attempts with their pauses take up to five."""

HTML = "<html><body><h1>Your network requires a sign-in</h1></body></html>"
NOWHERE = "https://media.example.com/RT?X-Amz-Signature=secret"
UNRESOLVABLE = "twfs-test.invalid"
LATE = ("EIO", "ETIMEDOUT")
"""ETIMEDOUT where the background has begun to look at the medium before the reader did, and has not given up."""
FOR_EVER = 86_400.0
MANY_RANGES = 2**24
"""Bytes of a medium that takes over a hundred requests with a `readahead` of 256K: one in ten will strike, but not six
in a row."""
NO_LOCATION: Mapping[str, str | None] = {"Location": None}

Strike = Callable[[Scene], Sequence[Fault]]
Make = Callable[[bytes, SealingKey], StoredObject]


def _sealed(plain: bytes, key: SealingKey) -> StoredObject:
    return seal(plain, key)


@dataclass(frozen=True, slots=True)
class Case:
    """One fault of one medium."""

    title: str
    sees: tuple[str, ...]
    """Names of errnos; none: the medium's data, as if nothing had happened."""
    log: str = ""
    """What a warning about the medium must say (a regular expression); empty: there must be none."""
    strike: Strike = lambda _scene: ()
    stored: Make = _sealed
    when: Literal["new", "open"] = "open"
    """Before anything is known of the medium, or when a reader has its first piece already."""
    size: int = 3 * 2**19
    """Bytes of plaintext."""
    lasts: bool = False
    """Whether it is the object itself that is bad, so that nothing will mend it."""
    bug: str = ""
    """Why a reader does not see that yet."""


@dataclass(frozen=True, slots=True)
class ListCase:
    """One fault of the lists."""

    title: str
    log: str
    strike: Callable[[str, str], Fault]
    """From the base URLs of the API and of another server."""
    is_harmless: bool = False
    """Whether the list comes nevertheless."""
    bug: str = ""


def api(scene: Scene, *, times: int | None = None, **fault: object) -> tuple[Fault]:
    """A fault of /Media of one medium."""
    return (Fault("api.media", match=scene.sid, times=times, **fault),)  # type: ignore[arg-type]


def s3(scene: Scene, *, times: int | None = None, **fault: object) -> tuple[Fault]:
    """A fault of one medium's object."""
    return (Fault("s3.get", match=scene.sid, times=times, **fault),)  # type: ignore[arg-type]


# Alterations of answers


def _without_last(count: int) -> Callable[[Answer], Answer]:
    """A shorter body, of one byte at least, its length told truly, its Content-Range not."""
    return lambda answer: replace(answer, body=_body(answer)[: max(1, len(answer.body) - count)])


def _whole(answer: Answer) -> Answer:
    """The whole object, as from a server that knows no ranges."""
    assert isinstance(answer.body, Slice)
    source = answer.body.source
    headers = {name: value for name, value in answer.headers.items() if name != "Content-Range"}
    return Answer(200, headers, Slice(source, ByteRange(0, source.size)))


def _content_range(change: Callable[[ByteRange, int], str]) -> Callable[[Answer], Answer]:
    def alter(answer: Answer) -> Answer:
        assert isinstance(answer.body, Slice)
        text = change(answer.body.wanted, answer.body.source.size)
        return replace(answer, headers={**answer.headers, "Content-Range": text})

    return alter


def _without_metadata(answer: Answer) -> Answer:
    kept = {name: value for name, value in answer.headers.items() if not name.startswith("x-amz-meta-")}
    return replace(answer, headers=kept)


def _body(answer: Answer) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else answer.body.read(0, len(answer.body))


_SHIFTED = _content_range(lambda part, total: f"bytes {part.start + 16}-{part.end + 15}/{total + 16}")
_NEIGHBOUR = _content_range(lambda part, total: f"bytes {part.start - 16}-{part.end - 17}/{total}")
_LARGER = _content_range(lambda part, total: f"bytes {part.start}-{part.end - 1}/{total + 16}")
_NONSENSE = _content_range(lambda _part, _total: "bytes all of them")

TWILIO = (
    Case(
        "401 for the media URL",
        ("EACCES",),
        "HTTP 401.*check account_sid",
        lambda scene: api(scene, status=401),
        when="new",
    ),
    Case("403 for the media URL", ("EACCES",), "HTTP 403", lambda scene: api(scene, status=403), when="new"),
    Case(
        "404 for the media URL of a medium never read", (ABSENT,), "", lambda scene: api(scene, status=404), when="new"
    ),
    Case(
        "404 with HTML for the media URL",
        LATE,
        "HTTP 404.*is a proxy in between|no answer within 8 s",
        lambda scene: api(scene, status=404, body=HTML),
        when="new",
    ),
    Case(
        "404 for the media URL of an open file",
        ("ESTALE",),
        "deleted while open",
        lambda scene: (*api(scene, status=404), *s3(scene, status=403)),
    ),
    Case(
        "500 and 503 to one request in ten",
        (),
        "",
        lambda scene: (*api(scene, status=500, chance=0.05), *api(scene, status=503, chance=0.05), *_expiring(scene)),
        size=2**23,
    ),
    Case(
        "500 for the media URL, again and again",
        LATE,
        "HTTP 500|no answer within 8 s",
        lambda scene: api(scene, status=500),
        when="new",
    ),
    Case(
        "HTML instead of JSON, once",
        (),
        "",
        lambda scene: api(scene, status=200, body=HTML, headers=NO_LOCATION, times=1),
        when="new",
    ),
    Case(
        "HTML instead of JSON, again and again",
        LATE,
        "names no place of the media|no answer within 8 s",
        lambda scene: api(scene, status=200, body=HTML, headers=NO_LOCATION),
        when="new",
    ),
    Case(
        "half a JSON",
        LATE,
        "names no place of the media|no answer within 8 s",
        lambda scene: api(scene, status=200, body='{"redirect_to": "https://', headers=NO_LOCATION),
        when="new",
    ),
    Case(
        "an answer without end",
        (),
        "",
        lambda scene: api(scene, body="x" * 10_000, endless=True),
        when="new",
    ),
    Case(
        "an answer of one byte per second",
        ("ETIMEDOUT",),
        "no answer within 8 s",
        lambda scene: api(scene, rate=1),
        when="new",
    ),
    Case(
        "an error body of 30 MB",
        LATE,
        "HTTP 500|no answer within 8 s",
        lambda scene: api(scene, status=500, body=b"x" * 30_000_000),
        when="new",
    ),
    Case(
        "no answer of the API at all",
        ("ETIMEDOUT",),
        "no answer within 8 s",
        lambda scene: api(scene, delay=FOR_EVER),
        when="new",
    ),
    Case("connection closed or reset, once", (), "", lambda scene: api(scene, reset_after=0, times=1), when="new"),
    Case(
        "connection closed or reset, again and again",
        LATE,
        "broke off|no connection|no answer within 8 s",
        lambda scene: api(scene, close_after=0),
        when="new",
    ),
    Case(
        "media at a host that is not allowed",
        ("EIO",),
        r"'media\.example\.com' is not allowed.*media_hosts",
        lambda scene: api(scene, headers={"Location": NOWHERE}),
        when="new",
    ),
    Case(
        "a media URL of `http:`",
        ("EIO",),
        "is not https",
        lambda scene: api(
            scene, headers={"Location": NOWHERE.replace("https://media.example.com", "http://a.amazonaws.com")}
        ),
        when="new",
    ),
    Case(
        "a media URL that is none",
        ("EIO",),
        "no plain http or https URL",
        lambda scene: api(scene, headers={"Location": "https://user@a.amazonaws.com\\@media.example.com/"}),
        when="new",
    ),
    Case(
        "a media host that does not resolve",
        ("EIO", "ETIMEDOUT"),
        "no connection",
        lambda scene: api(scene, headers={"Location": f"https://{UNRESOLVABLE}/RT"}),
        when="new",
    ),
)

QUOTA = (
    Case("429 without `Retry-After`, once", (), "", lambda scene: api(scene, status=429, times=1), when="new"),
    Case(
        "429 with `Retry-After: 1`, once",
        (),
        "",
        lambda scene: api(scene, status=429, headers={"Retry-After": "1"}, times=1),
        when="new",
    ),
    Case(
        "429 again and again", LATE, "HTTP 429|no answer within 8 s", lambda scene: api(scene, status=429), when="new"
    ),
    Case(
        "429 with `Retry-After: 3600`",
        ("EIO", "ETIMEDOUT"),
        "HTTP 429|no answer within 8 s",
        lambda scene: api(scene, status=429, headers={"Retry-After": "3600"}),
        when="new",
        lasts=True,
    ),
)


def _expiring(scene: Scene) -> tuple[Fault]:
    """Many URLs are refused, so that many are asked for."""
    return s3(scene, status=403, chance=0.3)


def _expire(scene: Scene) -> Sequence[Fault]:
    scene.simulator.expire_urls()
    return ()


def _replace(scene: Scene) -> Sequence[Fault]:
    stored = scene.account.medium(scene.sid).stored
    assert isinstance(stored, StoredObject)
    # The same length, as only the ETag tells then.
    scene.account.replace(scene.sid, replace(stored, data=stored.data[::-1]))
    return ()


def _in_its_place(name: str, text: str) -> Strike:
    """Another header of the envelope."""
    return lambda scene: s3(scene, headers={f"x-amz-meta-{name}": text})


def _delete(scene: Scene) -> Sequence[Fault]:
    scene.account.delete(scene.sid)
    return ()


S3 = (
    Case("the pre-signed URL expires in the middle of a file", (), "", _expire),
    Case("the pre-signed URL is refused with 400 ExpiredToken", (), "", lambda scene: s3(scene, status=400, times=1)),
    Case("403 even with a fresh URL", ("EIO",), "refuses a fresh pre-signed URL", lambda scene: s3(scene, status=403)),
    Case(
        "403 even with a fresh URL, at the first look",
        LATE,
        "refuses a fresh|no answer within 8 s",
        lambda scene: s3(scene, status=403),
        when="new",
    ),
    Case("404 for an open file", ("ESTALE",), "deleted while open", lambda scene: s3(scene, status=404)),
    Case(
        "404 with HTML from S3",
        LATE,
        "is a proxy in between|no answer within 8 s",
        lambda scene: s3(scene, status=404, body=HTML),
    ),
    Case("404 at the first look", ("EIO",), "no such object", lambda scene: s3(scene, status=404), when="new"),
    Case("the medium is deleted while open", ("ESTALE", "ENOENT"), "deleted while open", _delete, lasts=True),
    # EIO when the new object, which cannot be decrypted, is known: by then it is not the old one that is opened again.
    Case("412: the object is replaced while open", ("ESTALE", "EIO"), "changed while open", _replace, lasts=True),
    Case("416 for an open file", ("ESTALE",), "shorter than when it was opened", lambda scene: s3(scene, status=416)),
    Case(
        "416 at the first look, of an object that is not empty",
        LATE,
        "contradicts itself|no answer within 8 s",
        lambda scene: (
            Fault(
                "s3.get",
                match=lambda request: scene.sid in request.path and "range" in request.headers,
                times=None,
                status=416,
            ),
        ),
        when="new",
    ),
    Case(
        "500 and 503 SlowDown to one request in ten",
        (),
        "",
        lambda scene: (*s3(scene, status=500, chance=0.05), *s3(scene, status=503, chance=0.05)),
        size=MANY_RANGES,
    ),
    Case("503 SlowDown again and again", ("EIO",), "HTTP 503, SlowDown", lambda scene: s3(scene, status=503)),
    Case(
        "503 with Retry-After: 1, once",
        (),
        "",
        lambda scene: s3(scene, status=503, headers={"Retry-After": "1"}, times=1),
    ),
    Case(
        "connection refused",
        ("EIO",),
        "no connection",
        lambda scene: (*s3(scene, status=403), *api(scene, headers={"Location": "http://127.0.0.1:1/bucket/x"})),
    ),
    Case("reset after some bytes of each answer", (), "", lambda scene: s3(scene, reset_after=50_000)),
    Case("reset before each answer", ("EIO",), "broke off|no connection", lambda scene: s3(scene, reset_after=0)),
    Case("closed before the promised length", (), "", lambda scene: s3(scene, close_after=50_000)),
    Case(
        "closed before the promised length, at the first look",
        LATE,
        "before the promised length|broke off|no answer within 8 s",
        lambda scene: s3(scene, close_after=10),
        when="new",
    ),
    Case("the whole object with 200 instead of 206, once", (), "", lambda scene: s3(scene, alter=_whole, times=1)),
    Case(
        "the whole object with 200 instead of 206, always",
        ("EIO",),
        "another range than was asked for",
        lambda scene: s3(scene, alter=_whole),
    ),
    Case("the `Content-Range` of other bytes, once", (), "", lambda scene: s3(scene, alter=_NEIGHBOUR, times=1)),
    Case(
        "the `Content-Range` of other bytes, always",
        ("EIO",),
        "another range than was asked for",
        lambda scene: s3(scene, alter=_NEIGHBOUR),
    ),
    Case(
        "the `Content-Range` of another object",
        ("ESTALE",),
        "changed while open",
        lambda scene: s3(scene, alter=_LARGER),
    ),
    Case(
        "the `Content-Range` of other bytes at the first look",
        LATE,
        "another range than the last 32 bytes|no answer within 8 s",
        lambda scene: s3(scene, alter=_NEIGHBOUR),
        when="new",
    ),
    Case(
        "no `Content-Range` that can be understood",
        ("EIO",),
        "does not say which range",
        lambda scene: s3(scene, alter=_NONSENSE),
    ),
    Case(
        "one body in ten shorter than its range, though the headers say which",
        (),
        "",
        lambda scene: s3(scene, alter=_without_last(10_000), chance=0.1),
        size=MANY_RANGES,
    ),
    Case("another ETag", ("ESTALE",), "changed while open", lambda scene: s3(scene, headers={"ETag": '"other"'})),
    *(
        Case(f"another {name} under the same ETag", ("ESTALE",), "changed while open", _in_its_place(name, text))
        for name, text in (
            ("x-amz-key", "a2V5"),
            ("x-amz-iv", "AAAAAAAAAAAAAAAAAAAAAA=="),
            ("x-amz-unencrypted-content-length", "1"),
        )
    ),
    Case("no ETag any more", ("ESTALE",), "changed while open", lambda scene: s3(scene, headers={"ETag": None})),
    Case("metadata headers missing once the medium is known", (), "", lambda scene: s3(scene, alter=_without_metadata)),
    Case(
        "all metadata headers missing at the first look",
        ("EIO",),
        "without its envelope",
        lambda scene: s3(scene, alter=_without_metadata),
        when="new",
    ),
    Case("no byte after the headers", ("ETIMEDOUT",), "no answer within 8 s", lambda scene: s3(scene, stall_after=0)),
    Case("a stall in the middle of each answer", (), "", lambda scene: s3(scene, stall_after=100_000)),
    Case("no answer of S3 at all", ("ETIMEDOUT",), "no answer within 8 s", lambda scene: s3(scene, delay=FOR_EVER)),
    Case("10 KB/s, a small file", (), "", lambda scene: s3(scene, rate=10_000), size=15_000, when="new"),
    Case("10 KB/s, a large file", ("ETIMEDOUT",), "no answer within 8 s", lambda scene: s3(scene, rate=10_000)),
    Case(
        "an error body of 30 MB from S3",
        ("EIO",),
        "HTTP 500, no code",
        lambda scene: s3(scene, status=500, body=b"x" * 30_000_000),
    ),
    Case(
        "a redirect to a host that is not allowed",
        ("EIO",),
        "is not allowed.*media_hosts",
        lambda scene: s3(scene, status=307, headers={"Location": NOWHERE}),
    ),
    Case(
        "a redirect that leads to itself",
        ("EIO",),
        "from one host to the next without end",
        lambda scene: s3(scene, status=307, headers={"Location": "?"}),
    ),
)


# Objects


def _with(**metadata: str | None) -> Make:
    """A sealed object with other metadata; names with `_` for `-`, None takes one away."""

    def make(plain: bytes, key: SealingKey) -> StoredObject:
        stored = seal(plain, key)
        changed = {**stored.metadata, **{name.replace("_", "-"): value for name, value in metadata.items()}}
        return replace(stored, metadata={name: value for name, value in changed.items() if value is not None})

    return make


def _length_told(change: Callable[[int], int]) -> Make:
    return lambda plain, key: _with(x_amz_unencrypted_content_length=str(change(len(plain))))(plain, key)


def _wrapped(content_key_size: int) -> Make:
    """A content key of another size, wrapped as it should be."""
    return lambda plain, key: _with(x_amz_key=_base64(key.encrypt(bytes(content_key_size), PKCS1v15())))(plain, key)


def _stored(change: Callable[[bytes], bytes]) -> Make:
    """Other bytes in the bucket under a good envelope."""

    def make(plain: bytes, key: SealingKey) -> StoredObject:
        stored = seal(plain, key)
        return replace(stored, data=change(stored.data))

    return make


def _version_2(plain: bytes, key: SealingKey) -> StoredObject:
    stored = seal(plain, key)
    metadata = {name: value for name, value in stored.metadata.items() if name != "x-amz-key"}
    metadata |= {"x-amz-key-v2": stored.metadata["x-amz-key"], "x-amz-cek-alg": "AES/GCM/NoPadding"}
    return replace(stored, metadata=metadata | {"x-amz-wrap-alg": "RSA-OAEP-SHA1", "x-amz-tag-len": "128"})


def _version_3(plain: bytes, key: SealingKey) -> StoredObject:
    stored = seal(plain, key)
    return replace(stored, metadata={"x-amz-3": stored.metadata["x-amz-key"], "x-amz-c": "115", "x-amz-w": "12"})


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


_OF_ENVELOPE = ("x-amz-key", "x-amz-iv", "x-amz-unencrypted-content-length")


def _bad(title: str, make: Make, errno: str, log: str, bug: str = "") -> Case:
    return Case(title, (errno,), log, stored=make, when="new", lasts=True, bug=bug)


OBJECTS = (
    *(_bad(f"garbage in `{name}`", _with(**{name: "garbage \x80\xff!"}), "EIO", name) for name in _OF_ENVELOPE),
    *(_bad(f"no `{name}`", _with(**{name: None}), "EIO", name) for name in _OF_ENVELOPE[:2]),
    Case("garbage in `x-amz-matdesc`", (), stored=_with(x_amz_matdesc="garbage \x80\xff!"), when="new", lasts=True),
    _bad("metadata of 20 KB", _with(filler="x" * 20_000), "EIO", "larger than S3 allows"),
    _bad(
        "a wrapped key of the wrong size",
        _with(x_amz_key=_base64(bytes(100))),
        "ENOKEY",
        "the private key at hand does not fit",
    ),
    _bad(
        "a wrapped key that is no wrapped key",
        _with(x_amz_key=_base64(b"\x55" * 256)),
        "ENOKEY",
        "the private key at hand does not fit",
    ),
    _bad("a content key of 17 bytes", _wrapped(17), "ENOKEY", "the private key at hand does not fit"),
    _bad("a content key that is another one", _wrapped(32), "EIO", "padding or length"),
    _bad("an IV of 15 bytes", _with(x_amz_iv=_base64(bytes(15))), "EIO", "IV has 15 bytes"),
    *(
        _bad(f"an unencrypted length {name}", _length_told(change), "EIO", "length")
        for name, change in {
            "of 0": lambda size: 0,
            "of -1": lambda size: -1,
            "of 2^63": lambda size: 2**63,
            "that is 1 too small": lambda size: size - 1,
            "that is 1 too large": lambda size: size + 1,
        }.items()
    ),
    _bad("a corrupted last block", _stored(lambda data: data[:-16] + bytes(16)), "EIO", "padding or length"),
    _bad(
        "an object cut off, not at a whole AES block",
        _stored(lambda data: data[:-5]),
        "EIO",
        "must be a multiple of 16",
    ),
    _bad("an object cut off at a whole AES block", _stored(lambda data: data[:-160]), "EIO", "padding or length"),
    _bad("an object of 0 bytes with an envelope", _stored(lambda data: b""), "EIO", "must be a multiple of 16"),
    _bad("a V2 envelope (AES-GCM)", _version_2, "EIO", "AES/GCM/NoPadding.*only AES/CBC"),
    _bad("a V3 envelope", _version_3, "EIO", "version 3 of the AWS envelope"),
)


# Lists


def _page(change: Callable[[dict[str, object]], object]) -> Callable[[Answer], Answer]:
    """The page, changed as an object, and its `meta` likewise."""

    def alter(answer: Answer) -> Answer:
        page = json.loads(_body(answer))
        change(page["meta"])
        return replace(answer, body=json.dumps(page).encode())

    return alter


def _listed(**fault: object) -> Callable[[str, str], Fault]:
    return lambda _api, _elsewhere: Fault("api.list", times=fault.pop("times", None), **fault)  # type: ignore[arg-type]


def _next_page(url_of: Callable[[str, str], str]) -> Callable[[str, str], Fault]:
    """Every page names the same next one, made of the base URLs of the API and of another server."""

    def strike(api_url: str, elsewhere: str) -> Fault:
        url = url_of(api_url, elsewhere)
        return Fault("api.list", times=None, alter=_page(lambda meta: meta.update(next_page_url=url)))

    return strike


def _ever_new_pages(answer: Answer) -> Answer:
    count = next(_PAGE_NUMBERS)
    return _page(lambda meta: meta.update(next_page_url=f"{meta['url']}&Page={count}"))(answer)


_PAGE_NUMBERS = count(1)

LISTS = (
    ListCase("401 for a list", "HTTP 401.*check account_sid", _listed(status=401)),
    ListCase("403 for a list", "HTTP 403.*check account_sid", _listed(status=403)),
    ListCase("404 for a list", "HTTP 404", _listed(status=404)),
    ListCase("500 for a list", "HTTP 500", _listed(status=500)),
    ListCase("500 for one page of a list", "HTTP 500", _listed(status=500, match="PageToken")),
    ListCase("429 without `Retry-After`, again and again", "HTTP 429|no answer within", _listed(status=429)),
    ListCase("HTML instead of a page", "not JSON.*is a proxy in between", _listed(status=200, body=HTML)),
    ListCase("half a page", "not JSON", _listed(status=200, body='{"meta": {"key": "recordings", "ne')),
    ListCase("another JSON than a page", "no page of a list", _listed(status=200, body="[]")),
    ListCase(
        "a page without end",
        "is larger than 4194304 bytes|no answer within",
        _listed(status=200, body="[1, 2, 3, 4, 5], " * 999, endless=True),
    ),
    ListCase("one byte of a page per second", "no answer within", _listed(rate=1)),
    ListCase("an error body of 30 MB", "HTTP 503", _listed(status=503, body=b"x" * 30_000_000)),
    ListCase(
        "a next page that is the same page",
        "never ends",
        _listed(alter=_page(lambda meta: meta.update(next_page_url=meta["url"]))),
    ),
    ListCase(
        "ever new pages with nothing new in them",
        "never ends",
        lambda _api, _: Fault("api.list", times=None, alter=_ever_new_pages),
    ),
    ListCase(
        "a next page at another host",
        "points to another host",
        _next_page(lambda _, elsewhere: f"{elsewhere}/v1/Recordings"),
    ),
    ListCase(
        "a next page by `http:` where the API is `https:`, or at another port",
        "points to another host",
        _next_page(lambda api_url, _: f"https{api_url[4:]}/v1/Recordings"),
    ),
    ListCase(
        "a redirect to another host",
        "HTTP 302",
        lambda _, elsewhere: Fault(
            "api.list", status=302, times=None, headers={"Location": f"{elsewhere}/v1/Recordings"}
        ),
    ),
    ListCase("connection reset", "broke off|no connection", _listed(reset_after=0)),
    ListCase(
        "connection closed in the middle of a page", "broke off|before the promised length", _listed(close_after=1000)
    ),
)


def _once(**fault: object) -> Callable[[str, str], Fault]:
    """At a first mount, not at one that stands: of a list that has something in it, that only asks for what is new."""
    return lambda _api, _elsewhere: Fault(
        "api.list",
        match=lambda request: "Recordings" in request.path and "DateCreatedAfter" not in request.query_string,
        **fault,  # type: ignore[arg-type]
    )


HARMLESS_LISTS = (
    ListCase("429 with `Retry-After: 1`, once", "", _once(status=429, headers={"Retry-After": "1"}), is_harmless=True),
    ListCase("429 without `Retry-After`, once", "", _once(status=429), is_harmless=True),
    ListCase("500 and 503 to one page in ten", "", _listed(status=503, chance=0.1), is_harmless=True),
    ListCase("HTML or half a page, once", "", _once(status=200, body=HTML), is_harmless=True),
    ListCase("connection reset, once", "", _once(reset_after=0), is_harmless=True),
)


MACHINE = {
    "SIGKILL of twfs while it is read": "`ENOTCONN` or `ECONNABORTED`; the next mount takes the dead one away",
    "SIGTERM of twfs while it is read": "the data, then `ENOTCONN`, `ECONNABORTED` or `EIO`",
    "the state file is cut short": "the data: it is begun anew from Twilio",
    "bits of the state file are flipped": "the data: what is damaged is not believed",
    "the state file is damaged while Twilio cannot be reached": "no mount: it fails and says why",
    "the state folder is read-only": "the data; what is learnt is forgotten at unmount",
    "the disk of the state file is full": "the data; what is learnt is forgotten at unmount",
    "the disk of the state file becomes full": "the data; what is learnt is forgotten at unmount",
    "the state folder is deleted while mounted": "the data; it is made anew, with all that is known",
    "others may write to the state folder": "no mount: it fails and says how to mend it",
    "somebody else's state file takes the place of ours while mounted": "the data; it is not believed",
    "no more threads can be started": "no mount: it fails and says what limits them",
    "no file descriptor is left": "`EIO` or `ETIMEDOUT` until there are some again",
    "all cores are busy": "the data",
    "a clock is a day wrong, or jumps by a day": "the data",
    "a cgroup limits memory, to somewhat more than `cache_size`": "the data",
    "a cgroup limits memory to less than twfs needs": "`ENOTCONN` or `ECONNABORTED`, as the kernel ends twfs",
    "no memory is left": "`EIO` or `ENOMEM` until there is some again; never an empty folder or a short file",
}
"""Faults of the machine, and what a reader sees then."""


DELETION = {
    "a bit of it is flipped, under an ETag that is an MD5": "`EIO`; it stays",
    "S3 sends no ETag with it": "`EPERM`; it stays",
    "404 for media whose record claims no size": "`EBUSY`; it stays",
    "it was replaced since it was read": "`EBUSY`; it stays",
    "it cannot be read to its end": "`EBUSY`; it stays",
    "it takes longer than `timeout` to read": "`EBUSY`; later it goes",
    "the answer to DELETE is 500": "`EIO`; it stays",
    "the answer to DELETE is lost": "it goes",
}
"""Faults while a medium is to be deleted (`allow_delete`), and what becomes of it."""


# The table of README.md


def rows() -> list[tuple[str, str, str]]:
    """Whose fault, which, and what a reader sees; what is not so yet is left out."""
    listed = [
        ("Twilio, a list", case.title, "the last known list; a first mount fails") for case in LISTS if not case.bug
    ]
    whole = [("Twilio, a list", case.title, "the whole list") for case in HARMLESS_LISTS]
    return [
        *listed,
        *whole,
        *_media_rows("Twilio, one medium", (*TWILIO, *QUOTA)),
        *_media_rows("S3", S3),
        *_media_rows("an object", OBJECTS),
        *(("a deletion", title, sees) for title, sees in DELETION.items()),
        *(("the machine", title, sees) for title, sees in MACHINE.items()),
    ]


def _media_rows(whose: str, cases: Sequence[Case]) -> list[tuple[str, str, str]]:
    return [(whose, case.title, _in_words(case.sees)) for case in cases if not case.bug]


def _in_words(sees: tuple[str, ...]) -> str:
    if not sees:
        return "the data"
    return ABSENT if sees == (ABSENT,) else " or ".join(f"`{name}`" for name in sees)


def table() -> str:
    """Markdown."""
    lines = ["| whose | fault | what a reader sees |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows())])


if __name__ == "__main__":
    print(table())  # noqa: T201 - that is what it is run for
