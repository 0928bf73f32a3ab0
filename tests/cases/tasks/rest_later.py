import asyncio


async def rest_later(seconds):
    await asyncio.sleep(seconds)
    return "rested"
