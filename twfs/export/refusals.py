"""Why a destination takes nothing: one line for all media, with what to do.

fsspec's file systems raise what their libraries do, which need not be installed here: so they are known by name.
"""

import re
from pathlib import Path

from twfs.transfer.obstacle import OF_THE_PLACE, Obstacle, obstacle_at

_NO_CREDENTIALS = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, then run the same command again"
_UNREACHABLE = "check the address (for S3 AWS_ENDPOINT_URL) and the network, then run the same command again"

_NO_BUCKET = "make the bucket first, or name another one"
_OBJECT = re.compile(r"(https?://[^/\s\"']+)/[^\s\"']*")
"""A URL with a path, which differs with each medium."""

_REMEDIES = {
    "NoCredentialsError": _NO_CREDENTIALS,
    "PartialCredentialsError": _NO_CREDENTIALS,
    "CredentialRetrievalError": _NO_CREDENTIALS,
    "ProfileNotFound": "name one of ~/.aws/config in AWS_PROFILE",
    "SSOError": "sign in again: aws sso login",
    "TokenRetrievalError": "sign in again: aws sso login",
    "NoAuthTokenError": "sign in again: aws sso login",
    "ParamValidationError": "name a bucket as S3 allows it: 3 to 63 lower-case letters, digits, dots and hyphens",
    "ClientConnectorError": _UNREACHABLE,
    "NoRegionError": "set AWS_DEFAULT_REGION",
    "InvalidEndpointConfigurationError": _UNREACHABLE,
    "EndpointConnectionError": _UNREACHABLE,
    "ConnectTimeoutError": _UNREACHABLE,
    "ProxyConnectionError": _UNREACHABLE,
    "SSLError": "its certificate is not trusted; name its authority in AWS_CA_BUNDLE",
    "ConnectionRefusedError": _UNREACHABLE,
    "gaierror": _UNREACHABLE,
    "PermissionError": "its credentials must be valid there, and allowed to list, read and write",
    "AuthenticationException": "check the user name and the key",
}
"""By the name of the error's class, or of one that it is derived from, the nearest first."""


def obstacle_of(url: str, root: Path | None, error: Exception) -> Obstacle | None:
    """What stands in the way at the destination `url`; None if that is not known. `root` if it is a local folder."""
    if root is None:
        return _remote_obstacle(url, error)
    return obstacle_at(root, error) if isinstance(error, OSError) else None


def _remote_obstacle(url: str, error: Exception) -> Obstacle | None:
    if isinstance(error, FileNotFoundError):
        # Elsewhere it may be a file that another run took away.
        remedy = _NO_BUCKET if "s3://" in url else None
    else:
        names = (kind.__name__ for kind in type(error).__mro__)
        known = next((_REMEDIES[name] for name in names if name in _REMEDIES), None)
        remedy = known or (OF_THE_PLACE.get(error.errno or 0) if isinstance(error, OSError) else None)
    text = " ".join(_OBJECT.sub(r"\1", str(error)).split()) or type(error).__name__
    return None if remedy is None else Obstacle(f"{_place(url)}: {text}: {remedy}", is_everywhere=True)


def _place(url: str) -> str:
    """The part of the URL that all media have in common: of S3 the bucket."""
    scheme, mark, rest = url.rpartition("://")
    return f"{scheme}{mark}{rest.partition('/')[0]}"
