"""The container recipe of systemd/README.md holds together; `.ci/container` acts it out."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.players.readme import CONTAINERS
from tests.players.readme import example as example_of
from twfs.config.table import OPTIONS

ROOT = Path(__file__).parent.parent
MOUNTPOINT = "/srv/twfs/media"


def example(name: str) -> str:
    return example_of(name, CONTAINERS)


@pytest.fixture(scope="module")
def pod() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(example("kubernetes"))
    return found


def containers(pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from pod["spec"]["initContainers"]
    yield from pod["spec"]["containers"]


def test_what_the_image_copies_is_there() -> None:
    copied = [line.split()[1:-1] for line in example("container image").splitlines() if line.startswith("COPY ")]
    assert [name for names in copied for name in names if not (ROOT / name).exists()] == []
    assert {"pyproject.toml", "README.md", "systemd", "twfs"} == {name for names in copied for name in names}


def test_image_recipe_and_pod_mean_the_same_mountpoint(pod: dict[str, Any]) -> None:
    image = example("container image")
    assert re.findall(r"twfs mount .* (\S+)$", image, re.MULTILINE) == [MOUNTPOINT]
    assert re.findall(r"HEALTHCHECK .* (\S+)$", image, re.MULTILINE) == [f"{MOUNTPOINT}/.twfs/status"]
    (sidecar,) = pod["spec"]["initContainers"]
    for probe in ("startupProbe", "livenessProbe"):
        assert sidecar[probe]["exec"]["command"][-1] == f"{MOUNTPOINT}/.twfs/status"
    volumes = [word for word in shlex.split(example("container run")) if word.endswith(":rshared")]
    assert volumes == ["/srv/twfs:/srv/twfs:rshared"]


def test_variables_are_options(pod: dict[str, Any]) -> None:
    names = re.findall(r"\bTWFS_\w+", example("container image"))
    names += [variable["name"] for container in containers(pod) for variable in container.get("env", [])]
    assert names
    assert [name for name in names if name.removeprefix("TWFS_").lower() not in OPTIONS] == []


def test_the_pod_has_the_volumes_that_it_mounts(pod: dict[str, Any]) -> None:
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    mounts = {(box["name"], place["name"]): place for box in containers(pod) for place in box["volumeMounts"]}
    assert {name for _, name in mounts} == set(volumes)
    assert mounts["twfs", "mounts"]["mountPropagation"] == "Bidirectional"
    assert mounts["transcriber", "mounts"]["mountPropagation"] == "HostToContainer"
    assert volumes["secrets"]["secret"]["defaultMode"] == 0o400
    secrets = mounts["twfs", "secrets"]["mountPath"]
    (sidecar,) = pod["spec"]["initContainers"]
    values = {variable["name"]: variable["value"] for variable in sidecar["env"]}
    state = values.pop("TWFS_STATE_DIR")
    files = [value for value in values.values() if value.startswith("/")]
    assert {str(Path(file).parent) for file in files} == {secrets}
    # The pod's twfs is root, and would believe no state of user 1000.
    assert sidecar["securityContext"]["runAsUser"] == 0
    assert state not in example("container image")
