import random

from realtime.protocol.ids import ALPHABET, LENGTH, Ids


def test_ids_say_what_they_name() -> None:
    ids = Ids(random.Random(1))
    made = [ids.event(), ids.session(), ids.conversation(), ids.item(), ids.response(), ids.call(), ids.rtc_call()]
    made.append(ids.client_secret())
    assert [name.split("_")[0] for name in made] == ["event", "sess", "conv", "item", "resp", "call", "rtc", "ek"]
    for name in made:
        letters = name.split("_")[1]
        assert len(letters) == LENGTH
        assert set(letters) <= set(ALPHABET)
        assert len(name) <= 32  # what the hosted service allows of an item's id


def test_the_same_seed_gives_the_same_ids() -> None:
    first, second = Ids(random.Random(1)), Ids(random.Random(1))
    assert [first.item() for _ in range(100)] == [second.item() for _ in range(100)]


def test_ids_do_not_repeat() -> None:
    ids = Ids(random.Random(1))
    assert len({ids.event() for _ in range(10_000)}) == 10_000
