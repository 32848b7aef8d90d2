"""The README's examples, so that tests run what people copy."""

import re
from pathlib import Path

_README = Path(__file__).parents[2] / "README.md"


def example(name: str) -> str:
    """The code block after the marker `<!-- name -->`.

    Raises:
        AssertionError: there is none.
    """
    found = re.search(
        rf"^<!-- {re.escape(name)} -->\n```\w*\n(.*?)^```$", _README.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found is not None, f"the README has no example {name!r}"
    return found[1]
