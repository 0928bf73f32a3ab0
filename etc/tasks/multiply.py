from hub.lib.api import task


@task
def multiply(arg1, arg2):
    """The product of two values."""
    return arg1 * arg2
