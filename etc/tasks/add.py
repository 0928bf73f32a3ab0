from hub.lib.api import task


@task()
def add(arg1, arg2):
    """Returns the sum of two values."""
    return arg1 + arg2
