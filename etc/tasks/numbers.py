from hub.lib.api import task


@task
def numbers(count):
    """Returns the numbers from 1 to `count`."""
    return list(range(1, count + 1))
