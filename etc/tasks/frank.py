from hub.lib.api import task


@task
def frank(letter, stamp):
    """Puts a stamp on a letter."""
    return "{} with {}".format(letter, stamp)
