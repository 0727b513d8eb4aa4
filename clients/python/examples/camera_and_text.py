"""Show the camera to the server, two frames a second, and ask about it in writing.

Needs `pip install 'omniweave-client[devices]'`. Usage: camera_and_text.py [ws://HOST:PORT/v1/realtime]
"""

import asyncio
import sys
from contextlib import closing

from omniweave_client import Session, SessionConfig, connect
from omniweave_client.devices import Camera
from omniweave_client.feeds import Pace

FRAMES_PER_S = 2


async def watch(session: Session, camera: Camera) -> None:
    pace, number = Pace(), 0
    while True:
        await pace.until(number / FRAMES_PER_S)
        await session.send_frame(await asyncio.to_thread(camera.read))
        number += 1


async def main() -> None:
    with closing(Camera()) as camera:
        async with connect(*sys.argv[1:], config=SessionConfig(video=True)) as session:
            watching = asyncio.create_task(watch(session, camera))
            while question := await asyncio.to_thread(input, "> "):
                print(await session.ask(question))
            watching.cancel()


asyncio.run(main())
