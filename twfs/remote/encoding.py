"""Bodies that come compressed, decoded here, so that the bound on what becomes of them is this code's own.

Libraries decode a piece as a whole: with urllib3 2.2 an answer of 1,140 bytes took 2.4 GiB before anybody could say
that it was too long.
"""

import zlib

ACCEPTED = "gzip"
"""What is asked for: JSON shrinks to a tenth."""

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
"""zlib finds out by the header which of the two it is (zlib manual, inflateInit2)."""


class BadEncoding(ValueError):
    """A body is not encoded as was asked for, or not as it says."""


class Decoder:
    """Decodes one body, piece by piece."""

    def __init__(self, encoding: str) -> None:
        """`encoding` is the Content-Encoding of the answer; empty if it has none.

        Raises:
            BadEncoding: it is another one than may be sent. Encodings on top of each other are as well.
        """
        name = encoding.strip().lower() or "identity"
        if name not in ("identity", "gzip", "x-gzip", "deflate"):
            raise BadEncoding("the answer is encoded in a way that was not asked for; is a proxy in between?")
        self._inflating = None if name == "identity" else zlib.decompressobj(_GZIP_OR_ZLIB)
        self._has_begun = False

    def decode(self, piece: bytes, limit: int) -> bytes:
        """What `piece` adds to the body, at most `limit` bytes (> 0): what is beyond that must not be wanted.

        Raises:
            BadEncoding: it is not encoded as the answer says.
        """
        if self._inflating is None:
            return piece[:limit]
        try:
            return self._inflated(piece, limit)
        except zlib.error:
            raise BadEncoding("the answer is not encoded as it says") from None

    def end(self) -> None:
        """The body has ended.

        Raises:
            BadEncoding: what is encoded has not.
        """
        if self._inflating is not None and self._has_begun and not self._inflating.eof:
            raise BadEncoding("the answer is cut off in what it encodes")

    def _inflated(self, piece: bytes, limit: int) -> bytes:
        body = b""
        while piece and len(body) < limit:
            if self._inflating is None or self._inflating.eof:
                # gzip allows several members, one after the other (RFC 1952, 2.2).
                self._inflating = zlib.decompressobj(_GZIP_OR_ZLIB)
            self._has_begun = True
            body += self._inflating.decompress(piece, limit - len(body))
            piece = self._inflating.unused_data
        return body
