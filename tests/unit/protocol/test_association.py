"""The words that link two accounts: right, mistyped, old, forged, and anything at all."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from mnemonic import Mnemonic

from eurydice_core.errors import AssociationTokenInvalid
from eurydice_core.protocol.association import WORD_COUNT, issue_words, read_words

KEY = bytes(range(32))
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SOON = NOW + timedelta(minutes=30)
PROFILE = b"\x01\x02\x03\x04\x05\x06\x07\x08"
WORDLIST = Mnemonic("english").wordlist

PROFILES = st.binary(min_size=8, max_size=8)
KEYS = st.binary(min_size=32, max_size=32)


def read(text: str, now: datetime = NOW, key: bytes = KEY) -> bytes:
    return read_words(text, now, key)


@given(PROFILES, KEYS, st.timedeltas(timedelta(0), timedelta(days=365)))
def test_words_stand_for_their_profile_until_they_expire(profile, key, left):
    words = issue_words(profile, NOW + left, key)
    assert len(words.split()) == WORD_COUNT
    assert read(words, key=key) == profile
    with pytest.raises(AssociationTokenInvalid, match="expired on"):
        read(words, NOW + left + timedelta(seconds=1), key)


@given(
    PROFILES,
    st.lists(
        st.sampled_from([" ", "  ", "\n", "-", ", ", ".", "\t", " 12. "]), min_size=17, max_size=17
    ),
    st.sampled_from([str.lower, str.upper, str.title]),
)
def test_case_and_separators_do_not_matter(profile, separators, case):
    words = issue_words(profile, SOON, KEY).split()
    text = words[0] + "".join(s + word for s, word in zip(separators, words[1:], strict=True))
    assert read(f"\n {case(text)}.") == profile


@given(PROFILES, st.integers(0, WORD_COUNT - 1), st.sampled_from(WORDLIST))
def test_another_word_in_one_place_is_refused(profile, place, other):
    words = issue_words(profile, SOON, KEY).split()
    assume(words[place] != other)
    words[place] = other
    with pytest.raises(AssociationTokenInvalid):
        read(" ".join(words))


def test_a_typing_mistake_is_named_with_the_word_that_was_meant():
    words = issue_words(PROFILE, SOON, KEY).split()
    meant, words[4] = words[4], words[4] + "x"
    with pytest.raises(AssociationTokenInvalid, match=rf"word 5, '{meant}x'.*mean '{meant}'"):
        read(" ".join(words))


@given(st.randoms(use_true_random=False))
def test_words_in_another_order_are_refused(rng: random.Random):
    words = issue_words(PROFILE, SOON, KEY).split()
    mixed = rng.sample(words, len(words))
    assume(mixed != words)
    with pytest.raises(AssociationTokenInvalid):
        read(" ".join(mixed))


@given(KEYS.filter(lambda key: key != KEY))
def test_words_of_another_installation_are_refused(key):
    with pytest.raises(AssociationTokenInvalid, match="not issued by the origin side"):
        read(issue_words(PROFILE, SOON, key))


@given(st.binary(min_size=24, max_size=24))
def test_nobody_forges_words_that_are_well_formed(entropy):
    with pytest.raises(AssociationTokenInvalid, match="not issued by"):
        read(Mnemonic("english").to_mnemonic(entropy))


@pytest.mark.parametrize("count", [0, 1, 17, 19, 36])
def test_another_number_of_words_is_counted(count):
    words = (issue_words(PROFILE, SOON, KEY).split() * 2)[:count]
    with pytest.raises(AssociationTokenInvalid, match=f"{count} words instead of 18"):
        read(" ".join(words))


@given(st.text(max_size=2000) | st.lists(st.sampled_from(WORDLIST), max_size=30).map(" ".join))
def test_no_text_raises_anything_but_the_declared_error(text):
    with pytest.raises(AssociationTokenInvalid):
        read(text)


def test_a_lifetime_longer_than_the_format_holds_ends_with_the_format():
    words = issue_words(PROFILE, datetime(3000, 1, 1, tzinfo=UTC), KEY)
    assert read(words, datetime(2100, 1, 1, tzinfo=UTC)) == PROFILE
    with pytest.raises(AssociationTokenInvalid, match="2106"):
        read(words, datetime(2107, 1, 1, tzinfo=UTC))
