"""What holds for every test."""

import hypothesis

# The machine is busy with the other half of the tests: how long an example takes says nothing.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")
