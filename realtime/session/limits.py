"""How large one session may become. Everything a session keeps is counted against one of these."""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Bounds of one session. Requests beyond them are refused; what merely accumulates forgets its oldest part."""

    max_items: int = 1_000  # older items are forgotten, as the model's window forgets them
    max_conversation_bytes: int = 64 * MIB  # texts, pictures and sounds of all items
    max_item_bytes: int = 512 * KIB  # one item as it is sent back; a frame holds 1 MiB
    max_config_bytes: int = 512 * KIB  # the session object: instructions and tools
    max_id_chars: int = 128
    max_metadata_pairs: int = 16
    max_metadata_chars: int = 512  # of a key or a value
    max_input_items: int = 256  # in the input of one response
    max_images_per_item: int = 16
    max_image_pixels: int = 2_048 * 2_048  # decoding one takes some 40 ms of the event loop
    max_buffered_audio_s: float = 120.0  # appended but not heard yet: a file sent faster than it plays
    max_turn_audio_s: float = 300.0  # one voice turn; the oldest part of a longer one is forgotten
    max_commands: int = 512  # messages that wait for the model
    max_response_chars: int = 128_000  # of text, transcript and arguments; at worst six bytes each on the wire
    max_outbox_events: int = 8_192
    max_outbox_bytes: int = 16 * MIB  # a client that does not read for this long is closed
    max_side_responses: int = 2  # out-of-band responses at a time

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"{name} must be greater than 0, got {value}")
