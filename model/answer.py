"""One answer of the model: what may be drawn next, what the drawn ids say, and when it is over.

Ids go in through `push`, text and function calls come out through `take`. Knows nothing of ticks or the decoder.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from model.chat import ChatTemplate
from model.config import ModelConfig
from model.tokenizers.text import TextStream, TextTokenizer
from model.tools import CALL_START, CallGuide, TokenClasses
from streams.types import Finish, Respond, ToolCallDelta


@dataclass(frozen=True, slots=True)
class OutputRules:
    """What any answer of one model may draw in the joint vocabulary. Made once."""

    text: Tensor  # bool [V]: outside of pictures
    codes: Tensor  # bool [V]: inside of one
    end: int  # the id that closes the turn
    picture_start: int
    picture_end: int
    codes_of_picture: int  # 0 where the model has no image tokenizer

    @staticmethod
    def of(config: ModelConfig, tokenizer: TextTokenizer, chat: ChatTemplate) -> "OutputRules":
        vocab = config.vocab
        mask = torch.zeros(vocab.no_output + 1, dtype=torch.bool)
        texts = [bool(tokenizer.token_bytes(index)) for index in range(tokenizer.vocab_size)]
        mask[: len(texts)] = torch.tensor(texts)
        mask[chat.end_id] = True
        codes = torch.zeros_like(mask)
        codes[vocab.first_image : vocab.no_output] = True
        picture_start, picture_end = vocab.delimiter("image_start"), vocab.delimiter("image_end")
        num_codes = config.image_vq.num_ids if config.image_vq is not None else 0
        mask[picture_start] = config.abilities.draws and num_codes > 0
        mask[vocab.no_output] = config.abilities.self_paced
        return OutputRules(mask, codes, chat.end_id, picture_start, picture_end, num_codes)


class Answer:
    """From the opening of the gate to its end, which `finish` then names.

    `respond` None is the standing answer of a self-paced model: it has no name, no limit and no end.
    """

    def __init__(
        self,
        respond: Respond | None,
        tokenizer: TextTokenizer,
        rules: OutputRules,
        classes: TokenClasses,
        max_tokens: int,
    ) -> None:
        self.is_standing = respond is None
        respond = respond or Respond("")
        self.response = respond.response or None
        self.speaks = respond.speak
        self.sampling = respond.sampling
        self.finish: Finish | None = None
        self.said: set[int] = set()  # text ids drawn freely since the last rest, for the repetition penalty
        self._tokenizer = tokenizer
        self._rules = rules
        self._classes = classes
        self._stream = TextStream(tokenizer)
        self._tokens_left = min(max_tokens, respond.max_tokens or max_tokens)
        self._text = ""
        self._tools = respond.tools
        self._may_call = bool(respond.tools) and respond.tool is None
        self._guide: CallGuide | None = None
        self._codes_left = 0  # of the picture that is being drawn
        self._picture_closes = False
        if respond.tool is not None:
            named = [tool for tool in respond.tools if respond.tool in ("", tool.name)]
            self._guide = CallGuide(0, named, tokenizer, classes)

    @property
    def guided(self) -> bool:
        """Whether a function call is being written."""
        return self._guide is not None

    def mask(self) -> Tensor:
        """Bool [V]: what may be drawn next. A picture that was begun is drawn to its end."""
        if self._codes_left:
            return self._rules.codes
        return self._rules.text if self._guide is None else self._guide.mask(len(self._rules.text))

    def forced(self) -> list[int]:
        """Ids to append before the next draw."""
        if self._picture_closes:
            self._picture_closes = False
            return [self._rules.picture_end]
        ids = self._guide.forced() if self._guide is not None else []
        self._tokens_left -= len(ids)
        self._end_guide()
        return ids

    def push(self, drawn: int) -> list[int]:
        """Take a drawn id; returns what of it goes into the sequence."""
        if self._guide is not None:
            appended = [drawn] if self._guide.push(drawn) else []
        elif drawn == self._rules.end and not self.is_standing:
            self.finish = Finish.STOP
            return []
        else:
            appended = [drawn]
            if drawn < self._tokenizer.vocab_size:  # the ids after it are pictures, which repeat themselves rightly
                self.said.add(drawn)
                self._text += self._stream.push(drawn)
            self._watch_for_picture(drawn)
            self._watch_for_call()
        self._tokens_left -= len(appended)
        if self._tokens_left <= 0 and not self.is_standing:
            self.finish = self.finish or Finish.LENGTH
        return appended

    def rest(self) -> None:
        """Nothing to say for now. What a standing answer says after it is no repetition of what was said before."""
        self.said.clear()

    def take(self) -> tuple[str, tuple[ToolCallDelta, ...]]:
        """Text and function calls since the last time. Text that may still become a call is held back."""
        calls = tuple(self._guide.take()) if self._guide is not None else ()
        if self._may_call and self.finish is None and CALL_START.startswith(self._text.lstrip()):
            return "", calls
        if self.finish is not None:
            self._text += self._stream.flush()
        text, self._text = self._text, ""
        self._may_call = self._may_call and not text
        return text, calls

    def _watch_for_picture(self, drawn: int) -> None:
        if drawn == self._rules.picture_start:
            self._codes_left = self._rules.codes_of_picture
        elif self._codes_left:
            self._codes_left -= 1
            self._picture_closes = self._codes_left == 0

    def _watch_for_call(self) -> None:
        if self._may_call and self._text.lstrip() == CALL_START:
            self._text = ""
            self._may_call = False
            self._guide = CallGuide(0, self._tools, self._tokenizer, self._classes)
            self._guide.skip_start()

    def _end_guide(self) -> None:
        if self._guide is not None and self._guide.done:
            self.finish = Finish.STOP
