import asyncio
import os


async def prints_surrogate_later():
    await asyncio.sleep(0.1)
    print(os.fsdecode(b"caf\xe9"))
    return 1
