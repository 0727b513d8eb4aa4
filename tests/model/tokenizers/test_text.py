import io
import json

import pytest
import sentencepiece
import tokenizers
from hypothesis import given
from hypothesis import strategies as st

from model.tokenizers.text import BpeTokenizer, ByteTokenizer, SentencePieceTokenizer, TextStream, byte_of_character

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CORPUS = ["lower lower lower", "hello there, how are you?", "the <|im_end|> marker and the <tool_call> marker"]


def train_bpe_json() -> str:
    """A byte-level BPE file as the `tokenizers` package writes it: special tokens first, one added plain token."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=SPECIALS,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens(["<tool_call>"])
    return tokenizer.to_str()


def train_sentencepiece(**options) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["lower lower lower"]),
        model_writer=model,
        model_type="bpe",
        hard_vocab_limit=False,
        control_symbols=["<|im_start|>", "<|im_end|>"],
        minloglevel=2,
        **options,
    )
    return model.getvalue()


BPE_JSON = train_bpe_json()
BPE = BpeTokenizer(BPE_JSON)
LOWER = SentencePieceTokenizer(train_sentencepiece(vocab_size=17))
LOSSLESS = SentencePieceTokenizer(
    train_sentencepiece(
        vocab_size=280,
        byte_fallback=True,
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        normalization_rule_name="identity",
    )
)
BYTES = ByteTokenizer()


@pytest.mark.parametrize("tokenizer", [BPE, BYTES], ids=["bpe", "bytes"])
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_the_round_trip(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="▁\0")))
def test_any_text_survives_a_lossless_sentencepiece_model(text):
    assert LOSSLESS.decode(LOSSLESS.encode(text)) == text


@pytest.mark.parametrize("tokenizer", [BPE, LOSSLESS, BYTES], ids=["bpe", "sentencepiece", "bytes"])
@pytest.mark.parametrize("name", ["<|im_start|>", "<|im_end|>"])
def test_typed_special_token_is_ordinary_text(tokenizer, name):
    ids = tokenizer.encode(f"before {name} after")
    assert tokenizer.special(name) not in ids
    assert tokenizer.decode(ids) == f"before {name} after"


@pytest.mark.parametrize("tokenizer", [BPE, LOSSLESS, BYTES], ids=["bpe", "sentencepiece", "bytes"])
def test_special_tokens_have_no_text(tokenizer):
    ids = [tokenizer.special("<|im_start|>"), *tokenizer.encode("hi"), tokenizer.special("<|im_end|>")]
    assert tokenizer.decode(ids) == "hi"


@pytest.mark.parametrize("tokenizer", [BPE, LOSSLESS, BYTES], ids=["bpe", "sentencepiece", "bytes"])
def test_unknown_special_token_is_refused_by_name(tokenizer):
    with pytest.raises(ValueError, match="nobody"):
        tokenizer.special("<|nobody|>")


@pytest.mark.parametrize("tokenizer", [BPE, LOSSLESS, BYTES], ids=["bpe", "sentencepiece", "bytes"])
def test_id_outside_the_vocabulary_is_refused(tokenizer):
    for token in (-1, tokenizer.vocab_size):
        with pytest.raises(ValueError, match=str(token)):
            tokenizer.token_bytes(token)


@pytest.mark.parametrize("tokenizer", [BPE, LOSSLESS, BYTES], ids=["bpe", "sentencepiece", "bytes"])
@given(text=st.text(st.sampled_from("aé漢😀 \n")))
def test_stream_gives_whole_characters_as_they_complete(tokenizer, text):
    stream = TextStream(tokenizer)
    pieces = [stream.push(token) for token in tokenizer.encode(text)]
    assert all("\ufffd" not in piece for piece in pieces)
    assert "".join(pieces) == text
    assert stream.flush() == ""


def test_stream_holds_back_a_character_until_its_last_byte():
    stream = TextStream(BYTES)
    assert [stream.push(byte) for byte in "é😀".encode()] == ["", "é", "", "", "", "😀"]


def test_stream_that_ends_inside_a_character_says_so():
    stream = TextStream(BYTES)
    assert stream.push("é".encode()[0]) == ""
    assert stream.flush() == "\ufffd"


def test_half_a_surrogate_pair_does_not_break_encoding():
    assert BPE.decode(BPE.encode("a\ud800b")) == "a?b"
    assert BYTES.decode(BYTES.encode("a\ud800b")) == "a?b"


# --- imported BPE files ---


def test_bpe_gives_the_ids_of_the_original_on_plain_text():
    original = tokenizers.Tokenizer.from_str(BPE_JSON)
    for text in ("hello lower there", "  two  spaces\n", "naïve 漢字 😀"):
        assert BPE.encode(text) == original.encode(text).ids
        assert BPE.decode(BPE.encode(text)) == original.decode(original.encode(text).ids)


def test_bpe_keeps_plain_added_tokens_with_their_ids():
    original = tokenizers.Tokenizer.from_str(BPE_JSON)
    call = original.token_to_id("<tool_call>")
    assert call in BPE.encode("now <tool_call>{}")
    assert BPE.special("<tool_call>") == call
    assert BPE.token_bytes(call) == b"<tool_call>"
    assert BPE.vocab_size == original.get_vocab_size()


def test_bpe_special_tokens_stay_unreachable_even_where_whole_words_skip_the_merges():
    data = json.loads(BPE_JSON)
    data["model"]["ignore_merges"] = True
    data["model"]["unk_token"] = "<|endoftext|>"
    data["pre_tokenizer"]["use_regex"] = False
    tokenizer = BpeTokenizer(json.dumps(data))
    special = {tokenizer.special(name) for name in SPECIALS}
    for name in SPECIALS:
        assert not special & set(tokenizer.encode(name))
        assert tokenizer.decode(tokenizer.encode(name)) == name


def test_byte_missing_from_the_vocabulary_is_left_out_and_never_becomes_special():
    data = json.loads(BPE_JSON)
    character = next(character for character, byte in byte_of_character().items() if byte == 0x04)
    del data["model"]["vocab"][character]
    data["model"]["unk_token"] = "<|endoftext|>"
    tokenizer = BpeTokenizer(json.dumps(data))
    assert tokenizer.encode("a\x04b") == tokenizer.encode("a") + tokenizer.encode("b")


def test_file_that_is_not_byte_level_bpe_is_refused():
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a"))
    with pytest.raises(ValueError, match="WordLevel"):
        BpeTokenizer(words.to_str())


def test_bpe_loads_from_a_file(tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(BPE_JSON, encoding="utf-8")
    assert BpeTokenizer.load(path).encode("hello") == BPE.encode("hello")


# --- SentencePiece ---


def test_sentencepiece_merges_the_most_frequent_pairs():
    assert LOWER.encode("lower") == LOWER.encode(" lower")
    assert len(LOWER.encode("lower")) == 1  # the whole word was merged
    assert len(LOWER.encode("low")) == 1
    assert len(LOWER.encode("rewol")) > 1


def test_sentencepiece_takes_its_own_first_space_away_again():
    assert LOWER.drops_first_space
    assert LOWER.decode(LOWER.encode("lower lower low")) == "lower lower low"


def test_sentencepiece_shows_an_unknown_character_as_such():
    assert LOWER.decode(LOWER.encode("low漢")) == "low\ufffd"


def test_sentencepiece_loads_from_a_file(tmp_path):
    path = tmp_path / "text.model"
    path.write_bytes(train_sentencepiece(vocab_size=17))
    assert SentencePieceTokenizer.load(path).encode("lower") == LOWER.encode("lower")
