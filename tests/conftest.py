"""What holds for every test."""

import signal

import hypothesis

# What a shell runs in the background ignores Ctrl-C, and its children too; tests send it to themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The machine is busy with the other half of the tests: how long an example takes says nothing.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")
