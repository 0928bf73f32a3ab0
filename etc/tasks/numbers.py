from hub.lib.api import task


@task
def numbers(count):
    """The numbers from 1."""
    return list(range(1, count + 1))
