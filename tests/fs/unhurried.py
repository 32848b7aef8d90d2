"""Property tests on a machine that may be busy with other things: right or wrong, never too slow."""

from hypothesis import HealthCheck, settings

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
