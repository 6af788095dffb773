"""The generator against Random123's published known answers, and what is built upon its words."""

import numpy as np
import pytest

from vicregl_fast import philox
from vicregl_fast.draws import FLIP_DRAW, ORDER_VIEW

ONES = 0xFFFFFFFF
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_known_answers(counter, key, words):
    assert philox.philox4x32(*counter, *key) == words
    assert philox.philox4x32.py_func(*counter, *key) == words, "the same source must serve without compilation"


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_sample_words_take_the_seed_as_key_and_the_sample_as_counter(counter, key, words):
    seed = np.uint64(key[0] | key[1] << 32)
    assert philox.sample_words(seed, *counter) == words


def test_words_map_to_uniforms_and_integers():
    assert philox.uniform(0) == 0.0
    assert philox.uniform(1 << 31) == 0.5
    assert philox.uniform(ONES) == 1 - 2.0**-32
    assert [philox.below(word, 6) for word in (0, (1 << 31) - 1, 1 << 31, ONES)] == [0, 2, 3, 5]
    assert philox.below(ONES, 65536) == 65535


def test_sample_uniforms_are_the_words_of_each_sample():
    indices = np.array([7, 0, 1_281_166])
    uniforms = philox.sample_uniforms(2**63 + 5, 3, 1, FLIP_DRAW, indices)
    for row, index in zip(uniforms, indices, strict=True):
        words = philox.sample_words(np.uint64(2**63 + 5), 3, index, 1, FLIP_DRAW)
        assert row.tolist() == [word / 2**32 for word in words]


def test_every_part_of_the_counter_and_the_key_matters():
    base = dict(seed=1, epoch=2, view=3, draw=4)
    first = philox.sample_uniforms(**base, indices_b=np.arange(50))
    for name in base:
        other = philox.sample_uniforms(**(base | {name: base[name] + 1}), indices_b=np.arange(50))
        assert not np.isin(other, first).any()
    high_key = philox.sample_uniforms(**(base | {"seed": 1 + 2**32}), indices_b=np.arange(50))
    assert not np.isin(high_key, first).any()
    assert len(np.unique(first)) == 200


def test_permutation_orders_the_keys_of_the_order_view():
    order = philox.permutation(11, 4, 300)
    words = [philox.sample_words(np.uint64(11), 4, i, ORDER_VIEW, 0) for i in range(300)]
    keys = [high << 32 | low for high, low, _, _ in words]
    assert order.dtype == np.int64
    assert order.tolist() == sorted(range(300), key=keys.__getitem__)
    assert philox.permutation(11, 4, 0).shape == (0,)


def test_permutations_are_uniform():
    firsts = np.array([philox.permutation(0, epoch, 5) for epoch in range(5000)])
    counts = np.array([np.bincount(column, minlength=5) for column in firsts.T])
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000 * 0.8), "each sample comes equally often at each place"


def test_block_permutations_read_few_places_at_a_time():
    orders = [philox.block_permutation(3, epoch, 1003, block=10, window=105) for epoch in range(3)]
    for order in orders:
        assert sorted(order) == list(range(1003))
        for start in range(0, 1003, 100):
            assert len(np.unique(order[start : start + 100] // 10)) <= 21, "two windows of ten blocks at most"
        first = order[:100]
        assert (np.diff(first) < 0).mean() > 0.3, "shuffled within"
    assert (orders[0] != orders[1]).any() and set(orders[0][:100]) != set(orders[1][:100])
    assert sorted(philox.block_permutation(3, 0, 50, block=7, window=1000)) == list(range(50))
