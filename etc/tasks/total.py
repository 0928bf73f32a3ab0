from hub.lib.api import task


@task
def total(values):
    """The sum of a list."""
    return sum(values)
