"""Fails at its first attempts: an example for retry policies."""

from hub.lib.api import task


@task
def flaky(failures):
    attempt = flaky.state.attempt
    if attempt <= failures:
        raise ConnectionError("attempt %d failed, as it was asked to" % attempt)
    return "succeeded at attempt %d" % attempt
