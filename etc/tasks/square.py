import asyncio

from hub.lib.api import task


@task
async def square(number):
    """A number times itself, after a wait in which others run."""
    await asyncio.sleep(0.01)
    return number * number
