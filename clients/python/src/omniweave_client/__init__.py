"""Talk to an OmniWeave Realtime server, or any server of the Realtime protocol: text, sound, pictures and video.

`connect` opens a `Session`; iterate it for typed events. Loads numpy and websockets, never a device or a model.
"""

from omniweave_client.answers import Answer
from omniweave_client.config import Output, SessionConfig, Tool, ToolChoice, Vad
from omniweave_client.connection import DEFAULT_URL, connect
from omniweave_client.errors import (
    CannotConnect,
    ClientError,
    ConnectionLost,
    DeviceError,
    ServerError,
    SessionClosed,
)
from omniweave_client.events import (
    AudioDelta,
    Error,
    Event,
    ImageDone,
    InputCommitted,
    InputTranscript,
    ResponseDone,
    ResponseStarted,
    ResponseStatus,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolCall,
    TranscriptDelta,
    Unknown,
    Usage,
)
from omniweave_client.session import Direction, Session

__all__ = [
    "DEFAULT_URL",
    "Answer",
    "AudioDelta",
    "CannotConnect",
    "ClientError",
    "ConnectionLost",
    "DeviceError",
    "Direction",
    "Error",
    "Event",
    "ImageDone",
    "InputCommitted",
    "InputTranscript",
    "Output",
    "ResponseDone",
    "ResponseStarted",
    "ResponseStatus",
    "ServerError",
    "Session",
    "SessionClosed",
    "SessionConfig",
    "SessionCreated",
    "SessionUpdated",
    "SpeechStarted",
    "SpeechStopped",
    "TextDelta",
    "Tool",
    "ToolCall",
    "ToolChoice",
    "TranscriptDelta",
    "Unknown",
    "Usage",
    "Vad",
    "connect",
]
