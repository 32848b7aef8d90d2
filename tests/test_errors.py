import inspect

from twfs import errors
from twfs.errors import TwfsError

FAMILY = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, Exception)}


def parents_in_the_docstring() -> dict[str, str]:
    """Name to parent, as the tree at the module's head draws them."""
    assert errors.__doc__ is not None
    parents: dict[str, str] = {}
    path = [(0, "TwfsError")]
    for line in errors.__doc__.splitlines():
        head, separator, rest = line.partition("── ")
        if not separator:
            continue
        depth = len(head)
        names = [name for name in rest.split("  ")[0].split(", ") if name in FAMILY]
        path = [entry for entry in path if entry[0] < depth]
        parents |= dict.fromkeys(names, path[-1][1])
        path.append((depth, names[0]))
    return parents


def test_the_family_is_as_its_tree_is_drawn() -> None:
    drawn = parents_in_the_docstring()
    assert {name: kind.__bases__[0].__name__ for name, kind in FAMILY.items() if kind is not TwfsError} == drawn


def test_every_failure_is_of_the_family_and_keeps_its_one_line() -> None:
    for kind in FAMILY.values():
        assert issubclass(kind, TwfsError)
        assert str(kind("what, why, what to do")) == "what, why, what to do"
