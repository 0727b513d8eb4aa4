"""Speak a WAV file to the server in real time, and ask in writing while it is still speaking.

Usage: voice_file.py FILE.wav [ws://HOST:PORT/v1/realtime]
"""

import asyncio
import sys
from pathlib import Path

from omniweave_client import Session, SpeechStarted, SpeechStopped, connect
from omniweave_client.feeds import Pace, feed_wav


async def show(session: Session) -> None:
    async for event in session:
        if isinstance(event, SpeechStarted | SpeechStopped):
            print(event)


async def main() -> None:
    async with connect(*sys.argv[2:]) as session:
        speaking = asyncio.create_task(feed_wav(session, Path(sys.argv[1]), Pace(), tail_s=1.0))
        showing = asyncio.create_task(show(session))
        answer = await session.answer("Which planet is the largest?")
        print(f"{'Still' if not speaking.done() else 'No longer'} speaking; the answer is: {answer.text}")
        await speaking
        showing.cancel()


asyncio.run(main())
