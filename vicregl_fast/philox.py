"""The one source of random choices: Philox4x32-10 (Salmon et al., 2011), a pure function of key and counter.

The key is the seed. The counter is (epoch, sample index, view, draw), each taken modulo 2**32; ``draws.py`` says which
draw decides what. Nothing here has state.

In the compiled functions ``seed`` is uint64, ``epoch``, ``sample``, ``view`` and ``draw`` are int64, and a ``word`` is
uint32. Shape letters: b samples of a batch, n things to be ordered, 4 the words of a draw.
"""

import numpy as np
from numba import njit

from vicregl_fast.draws import ORDER_VIEW

_LOW_32 = np.uint64(0xFFFFFFFF)
_SHIFT_32 = np.uint64(32)
_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)


@njit(nogil=True, cache=True)
def philox4x32(c0, c1, c2, c3, k0, k1):
    """Returns the four uint32 words of Philox4x32-10.

    The counter c0 to c3 and the key k0, k1 are integers from 0 to 2**32 - 1.
    """
    # Words are kept in uint64: products fit, and no operand is signed, since Numba makes uint64 with int64 a float64.
    w0, w1, w2, w3 = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3)
    key0, key1 = np.uint64(k0), np.uint64(k1)
    for _ in range(10):
        product0 = _MULTIPLIER_0 * w0
        product1 = _MULTIPLIER_1 * w2
        w0 = (product1 >> _SHIFT_32) ^ w1 ^ key0
        w1 = product1 & _LOW_32
        w2 = (product0 >> _SHIFT_32) ^ w3 ^ key1
        w3 = product0 & _LOW_32
        key0 = (key0 + _WEYL_0) & _LOW_32
        key1 = (key1 + _WEYL_1) & _LOW_32
    return np.uint32(w0), np.uint32(w1), np.uint32(w2), np.uint32(w3)


@njit(nogil=True, cache=True)
def uniform(word):
    """Maps a uint32 word to a float64 in [0, 1)."""
    return np.float64(word) * 2.0**-32


@njit(nogil=True, cache=True)
def below(word, bound):
    """Maps a uint32 word to an int64 in [0, bound), for an integer 0 < bound < 2**31."""
    return np.int64((np.uint64(word) * np.uint64(bound)) >> _SHIFT_32)


@njit(nogil=True, cache=True)
def sample_words(seed, epoch, sample, view, draw):
    """Returns the four uint32 words of one draw; only the lower 32 bits of each counter number are used."""
    key = np.uint64(seed)
    return philox4x32(
        np.uint64(epoch) & _LOW_32,
        np.uint64(sample) & _LOW_32,
        np.uint64(view) & _LOW_32,
        np.uint64(draw) & _LOW_32,
        key & _LOW_32,
        key >> _SHIFT_32,
    )


@njit(nogil=True, cache=True)
def _fill_uniforms(seed, epoch, view, draw, indices_b, uniforms_b4):
    """Fills ``uniforms_b4``, float64, for the samples ``indices_b``, int64."""
    for i in range(indices_b.shape[0]):
        words = sample_words(seed, epoch, indices_b[i], view, draw)
        for j in range(4):
            uniforms_b4[i, j] = uniform(words[j])


def sample_uniforms(seed: int, epoch: int, view: int, draw: int, indices_b: np.ndarray) -> np.ndarray:
    """Returns one draw of every sample as float64 [b, 4] in [0, 1).

    Args:
        seed: 0 to 2**64 - 1.
        epoch, view, draw: numbers of the counter.
        indices_b: int [b], the samples' indices in the store.
    """
    indices_b = np.asarray(indices_b, dtype=np.int64)
    uniforms_b4 = np.empty((len(indices_b), 4), dtype=np.float64)
    _fill_uniforms(np.uint64(seed), np.int64(epoch), np.int64(view), np.int64(draw), indices_b, uniforms_b4)
    return uniforms_b4


@njit(nogil=True, cache=True)
def _fill_order_keys(seed, epoch, draw, keys_n):
    """Fills ``keys_n``, uint64, from the first two words of each counter."""
    for i in range(keys_n.shape[0]):
        high, low, _, _ = sample_words(seed, epoch, i, ORDER_VIEW, draw)
        keys_n[i] = (np.uint64(high) << _SHIFT_32) | np.uint64(low)


def order_keys(seed: int, epoch: int, n: int, draw: int = 0) -> np.ndarray:
    """Returns random keys, uint64 [n], by which n things are ordered in an epoch; another ``draw`` gives other keys."""
    keys_n = np.empty(n, dtype=np.uint64)
    _fill_order_keys(np.uint64(seed), np.int64(epoch), np.int64(draw), keys_n)
    return keys_n


def permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    """Returns the order of an epoch's n samples, int64 [n]: they are sorted by ``order_keys``, stably."""
    return np.argsort(order_keys(seed, epoch, n), kind="stable")


def block_permutation(seed: int, epoch: int, n: int, block: int, window: int) -> np.ndarray:
    """Returns an order of an epoch's n > 0 samples, int64 [n], that reads a store from few places at a time.

    The store is cut into blocks of ``block`` neighbouring samples, which are put in random order. Every
    ``window // block`` of them (at least one) form a window, and the samples of a window are shuffled together. If one
    window holds all blocks, the order is that of ``permutation``.
    """
    blocks = np.arange(n) // block
    keys = order_keys(seed, epoch, int(blocks[-1]) + 1, draw=1)
    place_of_block = np.empty(len(keys), dtype=np.int64)
    place_of_block[np.argsort(keys, kind="stable")] = np.arange(len(keys))
    windows = place_of_block[blocks] // max(1, window // block)
    return np.lexsort((order_keys(seed, epoch, n), windows))
