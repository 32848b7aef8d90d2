"""What `twfs doctor` says of one thing."""

from dataclasses import asdict, dataclass

OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    level: str
    check: str
    """What was looked at, in one word or two."""
    text: str
    mend: str = ""
    """What to do about it, where possible the command to run."""

    @property
    def line(self) -> str:
        """As people read it."""
        return f"{self.level:8} {self.text}" + (f"; {self.mend}" if self.mend else "")

    def as_json(self) -> dict[str, str]:
        """As scripts read it."""
        return asdict(self)
