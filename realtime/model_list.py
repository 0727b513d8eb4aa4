"""The body of `GET /v1/models`: the one model that is served, and what it can do.

A list as OpenAI's clients expect it; what the model was trained for is under `omniweave`.
"""

from typing import Literal

import msgspec

from realtime.engine import EngineInfo


class _Abilities(msgspec.Struct):
    hears: bool
    sees: bool
    speaks: bool
    draws: bool
    self_paced: bool
    voices: tuple[str, ...]


class _Model(msgspec.Struct):
    id: str
    omniweave: _Abilities
    object: Literal["model"] = "model"
    created: int = 0  # weights do not say
    owned_by: str = "omniweave"


class _ModelList(msgspec.Struct):
    data: tuple[_Model, ...]
    object: Literal["list"] = "list"


def encode_model_list(info: EngineInfo) -> bytes:
    abilities = _Abilities(info.hears, info.sees, info.speaks, info.draws, info.self_paced, info.voices)
    return msgspec.json.encode(_ModelList((_Model(info.name, abilities),)))
