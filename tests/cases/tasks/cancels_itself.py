import asyncio


async def cancels_itself():
    inner = asyncio.ensure_future(asyncio.sleep(3600))
    asyncio.get_running_loop().call_soon(inner.cancel)
    await inner
