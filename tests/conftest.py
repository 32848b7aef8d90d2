"""For all tests: examples are judged by what comes of them, not by how long they take on a busy machine."""

from hypothesis import settings

settings.register_profile("untimed", settings(deadline=None))
settings.load_profile("untimed")
