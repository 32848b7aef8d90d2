"""For all tests: examples are judged by what comes of them, not by how long they take on a busy machine."""

from hypothesis import HealthCheck, settings

settings.register_profile("untimed", settings(deadline=None, suppress_health_check=[HealthCheck.too_slow]))
settings.load_profile("untimed")
