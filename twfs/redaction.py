"""What must not be shown, cut out of texts: errors and log pass through here, whatever shows them afterwards.

The query of a pre-signed URL opens a medium to everybody, and an Authorization header the account. Twilio and proxies
quote both in their answers, libraries in their exceptions, and any of these may cut the text in the middle.
"""

import re
from typing import Any

_CUTS = (
    # The query of a whole URL.
    (re.compile(r"(\w://[^\s'\"<>?]{0,4096})\?[^\s'\"<>]*"), r"\1?..."),
    # The query of a path, as HTTP libraries quote it.
    (re.compile(r"\?[^\s?='\"<>]{1,4096}=[^\s'\"<>)]*"), "?..."),
    # What signs a URL of S3 or CloudFront, wherever the text begins; percent- or JSON-encoded, too.
    (
        re.compile(r"\b(X-Amz-[a-z-]+|Signature|AWSAccessKeyId|Key-Pair-Id|Policy)(=|%3D|\\u003d)[^\s&'\"<>]+", re.I),
        r"\1\2...",
    ),
    # Secrets where none belong: typed on a command line, or a line of a credentials file in the wrong one.
    (re.compile(r"\b((?:twilio_)?(?:api[_-]?secret|auth[_-]?token))=(?!\.)[^\s'\"`<>,;)]+", re.I), r"\1=..."),
    # Who asks: user and password of a proxy's URL, and what HTTP Basic and Bearer send.
    (re.compile(r"(\w://)[^\s/@'\"<>?]{1,1024}@"), r"\1...@"),
    (re.compile(r"\b(authorization['\"]?\s*[:=]\s*b?['\"]?(?:basic|bearer))\s+[^\s'\",;]+", re.I), r"\1 ..."),
    (re.compile(r"\b(Basic|Bearer) [A-Za-z0-9+/_.-]{16,}={0,2}"), r"\1 ..."),
)

_MARKS = re.compile(r"://|[?=]|%3D|u003d|basic|bearer", re.IGNORECASE)
"""In every text that has something to cut; most have none, and are not searched further."""


def redacted(text: str) -> str:
    """The text without the queries of URLs, signatures, and credentials; three dots stand in their place."""
    if _MARKS.search(text) is None:
        return text
    for pattern, rest in _CUTS:
        text = pattern.sub(rest, text)
    return text


def redacted_tree(value: Any) -> Any:
    """The same of every text in what JSON can hold."""
    match value:
        case str():
            return redacted(value)
        case dict():
            return {name: redacted_tree(part) for name, part in value.items()}
        case list() | tuple():
            return [redacted_tree(part) for part in value]
    return value


def one_line(text: str) -> str:
    """The text without anything that could move the cursor, colour the screen or show a signed URL's query."""
    return escaped(redacted(text))


def escaped(text: str) -> str:
    """Control, format and other unprintable characters as Python's escapes: what a track is called may be hostile."""
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
