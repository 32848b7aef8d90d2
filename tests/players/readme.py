"""Examples of the documents, so that tests run what people copy."""

import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
SHARING = _ROOT / "tests/players/README.md"
CONTAINERS = _ROOT / "systemd/README.md"


def example(name: str, document: Path = SHARING) -> str:
    """The code block after the marker `<!-- name -->`.

    Raises:
        AssertionError: there is none.
    """
    found = re.search(
        rf"^<!-- {re.escape(name)} -->\n```\w*\n(.*?)^```$", document.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found is not None, f"{document} has no example {name!r}"
    return found[1]
