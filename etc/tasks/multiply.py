from hub.lib.api import task


@task
def multiply(arg1, arg2):
    """Returns the product of two values."""
    return arg1 * arg2
