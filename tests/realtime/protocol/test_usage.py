from hypothesis import given
from hypothesis import strategies as st

from realtime.protocol.usage import UsageMeter
from streams.types import Usage


def test_what_was_read_before_the_answer_was_cached() -> None:
    meter = UsageMeter()
    meter.push(Usage(text_in=10, audio_in=3, cached=13), answering=False)
    meter.push(Usage(text_in=2, text_out=4, cached=19), answering=True)
    meter.push(Usage(text_out=5, audio_out=1, cached=25), answering=True)
    usage = meter.take()
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (15, 10, 25)
    assert usage.input_token_details.cached_tokens == 13
    assert (usage.input_token_details.text_tokens, usage.input_token_details.audio_tokens) == (12, 3)
    assert (usage.output_token_details.text_tokens, usage.output_token_details.audio_tokens) == (9, 1)


def test_an_answer_is_input_of_the_next() -> None:
    meter = UsageMeter()
    meter.push(Usage(text_in=10, text_out=5, cached=15), answering=True)
    meter.take()
    meter.push(Usage(text_in=1, text_out=2, cached=18), answering=True)
    usage = meter.take()
    assert (usage.input_tokens, usage.input_token_details.cached_tokens, usage.output_tokens) == (16, 15, 2)


def test_a_rewrite_spares_nothing() -> None:
    meter = UsageMeter()
    meter.push(Usage(text_in=10, cached=10), answering=False)
    meter.restart()
    meter.push(Usage(text_in=12, text_out=1, cached=13), answering=True)
    assert meter.take().input_token_details.cached_tokens == 0


def test_what_slid_out_of_the_cache_is_not_input() -> None:
    meter = UsageMeter()
    meter.push(Usage(text_in=10, audio_in=90, cached=100), answering=False)
    meter.push(Usage(text_in=5, text_out=5, cached=50), answering=True)
    usage = meter.take()
    assert usage.input_token_details.cached_tokens == 40
    assert (usage.input_token_details.text_tokens, usage.input_token_details.audio_tokens) == (15, 30)


def test_an_answer_that_never_ticked_cost_nothing() -> None:
    assert UsageMeter().take().total_tokens == 0


ticks = st.builds(Usage, *[st.integers(0, 50)] * 5, cached=st.integers(0, 300))


@given(st.lists(st.tuples(ticks, st.booleans())))
def test_details_add_up(steps: list[tuple[Usage, bool]]) -> None:
    meter = UsageMeter()
    for usage, answering in steps:
        meter.push(usage, answering)
    total = meter.take()
    read, cached = total.input_token_details, total.input_token_details.cached_tokens_details
    assert read.text_tokens + read.audio_tokens + read.image_tokens == total.input_tokens
    assert cached.text_tokens + cached.audio_tokens + cached.image_tokens == read.cached_tokens
    assert total.input_tokens + total.output_tokens == total.total_tokens
    assert read.cached_tokens <= total.input_tokens
