"""Damage for fuzzing: what bits that flip, disks that end and programs that lie make of a file."""

from __future__ import annotations

import os

import numpy as np

CASES = int(os.environ.get("FUZZ_CASES", "5000"))
"""Of all fuzz tests together."""

WILD_INTEGERS = (-1, 0, 1, 2, 7, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
WILD_FLOATS = (
    0.0, -0.0, 1e-300, 1e-9, 1.0, -1.0, 1e9, 1e300, -1e300, float("inf"), float("-inf"), float("nan"),
)  # fmt: skip
WILD_TEXTS = (
    b"", b"0", b"-1", b"nan", b"inf", b"-inf", b"1e999", b"1e-999", b"99999999999999999999", b"\x00",
    b"\xff\xfe", b"null", b"[]", b"{}", b"!!python/object/apply:os.system", b"&a [*a]", b"../../..",
    b",", b"\n", b'"', b"\t", b":", b"-", b"#",
)  # fmt: skip


def numbered(share: float, seed: int) -> list[np.random.Generator]:
    """Return one generator a case for a test that has a share of `CASES`; always the same ones."""
    return [np.random.default_rng((seed, index)) for index in range(max(1, round(share * CASES)))]


def wild(rng: np.random.Generator, valid: int, chance: float = 0.3) -> int:
    """Return an integer that is valid, or anything, with a given chance."""
    return int(rng.choice(WILD_INTEGERS)) if rng.random() < chance else valid


def wild_float(rng: np.random.Generator, valid: float, chance: float = 0.3) -> float:
    """Return a number that is valid, or anything, with a given chance."""
    return float(rng.choice(WILD_FLOATS)) if rng.random() < chance else valid


def damaged(rng: np.random.Generator, content: bytes, texts: bool = True) -> bytes:
    """Return the content after one to four kinds of damage."""
    data = bytearray(content)
    kinds = [
        _flip,
        _cut,
        _remove,
        _double,
        _overwrite,
        *([_insert, _replace_word] if texts else []),
    ]
    for _ in range(int(rng.integers(1, 5))):
        data = kinds[int(rng.integers(len(kinds)))](rng, data)
    return bytes(data)


def _place(rng: np.random.Generator, data: bytearray) -> int:
    return int(rng.integers(len(data) + 1))


def _stretch(rng: np.random.Generator, data: bytearray) -> slice:
    start = _place(rng, data)
    return slice(start, start + int(rng.integers(1, 64)))


def _flip(rng: np.random.Generator, data: bytearray) -> bytearray:
    if data:
        data[_place(rng, data) % len(data)] ^= 1 << int(rng.integers(8))
    return data


def _cut(rng: np.random.Generator, data: bytearray) -> bytearray:
    return data[: _place(rng, data)]


def _remove(rng: np.random.Generator, data: bytearray) -> bytearray:
    del data[_stretch(rng, data)]
    return data


def _double(rng: np.random.Generator, data: bytearray) -> bytearray:
    part = _stretch(rng, data)
    return data[: part.stop] + data[part] + data[part.stop :]


def _overwrite(rng: np.random.Generator, data: bytearray) -> bytearray:
    value = int(rng.choice(WILD_INTEGERS)) & (2**64 - 1)
    size = int(rng.choice([1, 2, 4, 8]))
    start = _place(rng, data)
    data[start : start + size] = (value & (256**size - 1)).to_bytes(size, "little")
    return data


def _insert(rng: np.random.Generator, data: bytearray) -> bytearray:
    at = _place(rng, data)
    return data[:at] + _word(rng) + data[at:]


def _replace_word(rng: np.random.Generator, data: bytearray) -> bytearray:
    """Put a wild word in the place of a number."""
    start = _place(rng, data)
    while start < len(data) and not chr(data[start]).isdigit():
        start += 1
    end = start
    while end < len(data) and chr(data[end]) in "0123456789.e+-":
        end += 1
    return data[:start] + _word(rng) + data[end:]


def _word(rng: np.random.Generator) -> bytes:
    return WILD_TEXTS[int(rng.integers(len(WILD_TEXTS)))]
