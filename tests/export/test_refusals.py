import errno
import os
import socket
from pathlib import Path

import pytest
from botocore.exceptions import (
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
    UnauthorizedSSOTokenError,
)

from twfs.export.refusals import obstacle_of

BUCKET = "s3://archive/media"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (NoCredentialsError(), "s3://archive: Unable to locate credentials: set AWS_PROFILE"),
        (PartialCredentialsError(provider="env", cred_var="x"), "set AWS_PROFILE"),
        (UnauthorizedSSOTokenError(), "aws sso login"),
        (PermissionError("Access Denied"), "s3://archive: Access Denied: its credentials must be valid there"),
        (FileNotFoundError("The specified bucket does not exist"), "make the bucket first, or name another one"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "check the address"),
        (socket.gaierror(-2, "Name or service not known"), "check the address"),
        (OSError(errno.ENOSPC, "No space left on device"), "make room there"),
        (ParamValidationError(report='Invalid bucket name "B!"'), "name a bucket as S3 allows it"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_stands_in_the_way_of_all_says_what_to_do(error: Exception, words: str) -> None:
    obstacle = obstacle_of(BUCKET, None, error)
    assert obstacle is not None
    assert words in obstacle.reason
    assert obstacle.is_everywhere
    assert "\n" not in obstacle.reason


def test_reason_is_the_same_whatever_the_object() -> None:
    errors = [EndpointConnectionError(endpoint_url=f"https://s3.test/archive/{n}?X-Amz-Signature=x") for n in "ab"]
    reasons = {getattr(obstacle_of(BUCKET, None, error), "reason", None) for error in errors}
    (reason,) = reasons
    assert reason is not None
    assert "Signature" not in reason


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("sftp://host/x", FileNotFoundError(errno.ENOENT, "No such file")),
        (BUCKET, ReadTimeoutError(endpoint_url="https://s3.test/archive/x")),
        (BUCKET, OSError(errno.EBUSY, "Please reduce your request rate.")),
        (BUCKET, ValueError("nonsense")),
        ("ftp://host/x", ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")),
    ],
    ids=["file that went", "time-out", "slow down", "unknown", "one connection that broke"],
)
def test_trouble_of_one_medium_does_not_end_the_export(url: str, error: Exception) -> None:
    assert obstacle_of(url, None, error) is None


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.EFBIG, errno.EINVAL, errno.EPERM, errno.EACCES])
def test_trouble_of_one_file_in_a_folder_is_its_own(tmp_path: Path, number: int) -> None:
    obstacle = obstacle_of(str(tmp_path), tmp_path, OSError(number, os.strerror(number), "name"))
    assert obstacle is not None
    assert not obstacle.is_everywhere
    assert os.strerror(number) in obstacle.reason
