"""Text to ids and back, behind one seam with three users.

`encode` turns text into ordinary text tokens only: whatever a person types, no special token comes out, so nobody can
open or close a turn by typing its name. Special tokens exist as ids alone, looked up with `special(name)`.

`TextStream` turns ids that arrive one at a time into whole characters: a character split over several tokens appears
when its last byte does.
"""

import codecs
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import sentencepiece
import tokenizers


class TextTokenizer(Protocol):
    @property
    def vocab_size(self) -> int:
        """One more than the highest id, special tokens included."""
        ...

    @property
    def drops_first_space(self) -> bool:
        """Whether encoding puts a space before the text, which decoding takes away again."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ordinary text tokens of `text`, never special ones."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`; special tokens have none."""
        ...

    def token_bytes(self, token: int) -> bytes:
        """What one id adds to the text, as UTF-8 that may begin or end inside a character."""
        ...

    def special(self, name: str) -> int:
        """The id of a special token. Raises `ValueError` for a name that is none."""
        ...


class TextStream:
    """Ids one at a time → whole characters. Bytes that never were UTF-8 become U+FFFD."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self._characters = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._drop_space = tokenizer.drops_first_space

    def push(self, token: int) -> str:
        """The characters that `token` completes, maybe none."""
        text = self._characters.decode(self._tokenizer.token_bytes(token))
        if text and self._drop_space:
            self._drop_space = False
            text = text.removeprefix(" ")
        return text

    def flush(self) -> str:
        """End the text: a character that was never completed shows as U+FFFD."""
        return self._characters.decode(b"", final=True)


def decode_ids(tokenizer: TextTokenizer, ids: Sequence[int]) -> str:
    stream = TextStream(tokenizer)
    return "".join([*(stream.push(token) for token in ids), stream.flush()])


def well_formed(text: str) -> str:
    """Half a surrogate pair, which JSON can spell but UTF-8 cannot, becomes a question mark."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


# --- imported byte-level BPE ----------------------------------------------------------------------------------------


class BpeTokenizer:
    """Runs a byte-level BPE `tokenizer.json` as its authors did, except that text never matches a special token.

    Bytes that the vocabulary lacks (some control characters, in some vocabularies) are left out of the encoding.
    """

    drops_first_space = False

    def __init__(self, tokenizer_json: str) -> None:
        data = json.loads(tokenizer_json)
        model = data["model"]
        if model["type"] != "BPE" or "ByteLevel" not in json.dumps(data["pre_tokenizer"]):
            raise ValueError(f"only byte-level BPE is supported, got model {model['type']!r}")
        vocab: dict[str, int] = model["vocab"]
        added = data["added_tokens"]
        self._added = {token["content"]: int(token["id"]) for token in added}
        special = {token["content"] for token in added if token["special"]}
        # What text can become: the vocabulary without special tokens. The others keep the ids the file gives them.
        text_vocab = {piece: token for piece, token in vocab.items() if piece not in special}
        text_vocab.update({name: token for name, token in self._added.items() if name not in special})
        model["vocab"] = text_vocab
        model["unk_token"] = None  # an unknown byte must not turn into a special token
        data["added_tokens"] = [token for token in added if not token["special"]]
        data["truncation"] = data["padding"] = data["post_processor"] = None
        self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(data))

        self._vocab_size = 1 + max([*vocab.values(), *self._added.values()])
        byte_of = byte_of_character()
        self._bytes: list[bytes | None] = [None] * self._vocab_size
        for piece, token in vocab.items():
            if piece not in self._added:
                self._bytes[token] = bytes(byte_of[character] for character in piece)
        for name, token in self._added.items():
            self._bytes[token] = b"" if name in special else name.encode()

    @classmethod
    def load(cls, path: Path) -> "BpeTokenizer":
        return cls(path.read_text(encoding="utf-8"))

    @property
    def vocab_size(self) -> int:
        return self._vocab_size

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(well_formed(text), add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        return decode_ids(self, ids)

    def token_bytes(self, token: int) -> bytes:
        known = self._bytes[token] if 0 <= token < self._vocab_size else None
        if known is None:
            raise ValueError(f"no text token has id {token}")
        return known

    def special(self, name: str) -> int:
        if name not in self._added:
            raise ValueError(f"no special token {name!r}; there are {sorted(self._added)}")
        return self._added[name]


def byte_of_character() -> dict[str, int]:
    """The byte-level alphabet of GPT-2: printable bytes stand for themselves, the others for U+0100 and on, in order.

    (`bytes_to_unicode` in the GPT-2 code release, `encoder.py`.)
    """
    printable = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)}
    hidden = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + i): byte for i, byte in enumerate(hidden)}


# --- our own SentencePiece models -----------------------------------------------------------------------------------


class SentencePieceTokenizer:
    """Runs a SentencePiece model. Its control symbols are the special tokens; text never matches one."""

    def __init__(self, model: bytes) -> None:
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        first_pieces = self._processor.encode("a", out_type=str)
        self._drops_first_space = bool(first_pieces) and first_pieces[0].startswith("▁")

    @classmethod
    def load(cls, path: Path) -> "SentencePieceTokenizer":
        return cls(path.read_bytes())

    @property
    def vocab_size(self) -> int:
        return self._processor.vocab_size()

    @property
    def drops_first_space(self) -> bool:
        return self._drops_first_space

    def encode(self, text: str) -> list[int]:
        return self._processor.encode(well_formed(text), out_type=int)

    def decode(self, ids: Sequence[int]) -> str:
        return decode_ids(self, ids)

    def token_bytes(self, token: int) -> bytes:
        if not 0 <= token < self.vocab_size:
            raise ValueError(f"no text token has id {token}")
        if self._processor.is_control(token):
            return b""
        if self._processor.is_unknown(token):
            return "\N{REPLACEMENT CHARACTER}".encode()
        piece = self._processor.id_to_piece(token)
        if self._processor.is_byte(token):
            return bytes([int(piece.removeprefix("<0x").removesuffix(">"), 16)])
        return piece.replace("▁", " ").encode()

    def special(self, name: str) -> int:
        token = self._processor.piece_to_id(name)
        if not self._processor.is_control(token):
            raise ValueError(f"no special token {name!r} among the model's control symbols")
        return token


# --- bytes ----------------------------------------------------------------------------------------------------------


class ByteTokenizer:
    """A token is a byte; special tokens follow from id 256 on. For tests and the tiny preset: nothing to load."""

    drops_first_space = False

    def __init__(self, specials: Sequence[str] = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")) -> None:
        self._special = {name: 256 + i for i, name in enumerate(specials)}

    @property
    def vocab_size(self) -> int:
        return 256 + len(self._special)

    def encode(self, text: str) -> list[int]:
        return list(well_formed(text).encode())

    def decode(self, ids: Sequence[int]) -> str:
        return decode_ids(self, ids)

    def token_bytes(self, token: int) -> bytes:
        if not 0 <= token < self.vocab_size:
            raise ValueError(f"no text token has id {token}")
        return bytes([token]) if token < 256 else b""

    def special(self, name: str) -> int:
        if name not in self._special:
            raise ValueError(f"no special token {name!r}; there are {sorted(self._special)}")
        return self._special[name]
