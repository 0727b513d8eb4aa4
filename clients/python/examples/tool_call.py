"""Give the model a function, run it when it is called, and let the model answer with the result.

Usage: tool_call.py [ws://HOST:PORT/v1/realtime]
"""

import asyncio
import json
import sys

from omniweave_client import ResponseDone, SessionConfig, TextDelta, Tool, ToolCall, connect

TEMPERATURES_C = {"Oslo": -3, "Cairo": 31}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = Tool("temperature", "The temperature in a city right now, in degrees Celsius.", CITY)


def temperature(arguments_json: str) -> str:
    """What the model writes as arguments may be anything: answer it in words, never with an exception."""
    try:
        city = json.loads(arguments_json)["city"]
        return json.dumps({"celsius": TEMPERATURES_C[city]})
    except (ValueError, KeyError, TypeError):
        return json.dumps({"error": f"only known for {', '.join(TEMPERATURES_C)}"})


async def main() -> None:
    async with connect(*sys.argv[1:], config=SessionConfig(tools=(TOOL,))) as session:
        await session.send_text("How warm is it in Oslo?")
        calls: list[ToolCall] = []
        async for event in session:
            match event:
                case ToolCall():
                    calls.append(event)
                    print(f"[{event.name}({event.arguments})]")
                case TextDelta():
                    print(event.text, end="", flush=True)
                case ResponseDone() if calls:
                    for call in calls:
                        await session.call_output(call.call_id, temperature(call.arguments))
                    calls.clear()
                    await session.respond()
                case ResponseDone():
                    break


asyncio.run(main())
