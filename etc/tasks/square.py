import asyncio

from hub.lib.api import task


@task
async def square(number):
    """Returns the square of a number, after a short wait in which other tasks can run."""
    await asyncio.sleep(0.01)
    return number * number
