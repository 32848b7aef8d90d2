"""Each third-party library has one home; `lint-imports` guards the floors themselves."""

import ast
import sys
from collections import defaultdict
from pathlib import Path

SOURCE = Path(__file__).parent.parent / "twfs"

HOMES = {
    "aiohttp": {"simulator/server.py"},
    "pycurl": {"remote/libcurl.py", "remote/transport.py"},
    "cachetools": {"catalog/recent.py", "fs/tree.py", "fuse/listing.py", "media/block_cache.py"},
    "certifi": {"remote/certificates.py"},
    "cryptography": {
        "crypto/cbc.py",
        "crypto/key_file.py",
        "crypto/keypair.py",
        "crypto/keyring.py",
        "simulator/sealing.py",
        "transfer/stored_digest.py",
    },
    "distributed": {"export/cluster.py"},
    "fsspec": {"export/destination.py", "fsspec/file.py", "fsspec/filesystem.py"},
    "prometheus_client": {"mount/metrics_file.py"},
    "requests": {"remote/http.py"},
    "rich": {"cli/tables.py", "cli/top.py", "cli/top_view.py"},
    "urllib3": {"remote/http.py"},
}
"""Where each may be imported. The two FUSE bindings are loaded by name, in fuse/binding.py."""


def imported(path: Path) -> set[str]:
    """Top-level packages that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_third_party_libraries_stay_at_home() -> None:
    homes = defaultdict(set)
    for path in SOURCE.rglob("*.py"):
        for package in imported(path) - sys.stdlib_module_names - {"twfs"}:
            homes[package].add(str(path.relative_to(SOURCE)))
    strays = {package: places - HOMES.get(package, set()) for package, places in homes.items()}
    assert not {package: places for package, places in strays.items() if places}
