"""Ask a question and print the answer while it is written. Usage: hello.py [ws://HOST:PORT/v1/realtime]"""

import asyncio
import sys

from omniweave_client import ResponseDone, TextDelta, connect


async def main() -> None:
    async with connect(*sys.argv[1:]) as session:
        await session.send_text("In one sentence: why is the sky blue?")
        async for event in session:
            if isinstance(event, TextDelta):
                print(event.text, end="", flush=True)
            elif isinstance(event, ResponseDone):
                break


asyncio.run(main())
