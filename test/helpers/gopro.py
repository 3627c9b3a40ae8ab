"""A video file as GoPro writes it, with nothing in it but the gyroscope.

The format is GPMF (github.com/gopro/gpmf-parser): keys, types and lengths, nested; one sample a
second.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

SCALE = 939
"""Of GYRO, per rad/s."""
MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def write_gopro(path: Path, omega: np.ndarray, rate: int) -> Path:
    """Write angular velocities (n, 3), rad/s, `rate` a second, for whole seconds."""
    samples = [_telemetry(omega[k : k + rate], k, rate) for k in range(0, len(omega), rate)]
    start = _box(b"ftyp", b"mp41", struct.pack(">I", 0x20130118), b"mp41")
    path.write_bytes(start + _box(b"mdat", *samples) + _movie(samples, len(start) + 8))
    return path


def _entry(key: bytes, kind: bytes, size: int, count: int, data: bytes) -> bytes:
    return struct.pack(">4scBH", key, kind, size, count) + data + b"\0" * (-len(data) % 4)


def _nested(key: bytes, data: bytes) -> bytes:
    return _entry(key, b"\0", 1, len(data), data)


def _telemetry(omega: np.ndarray, first: int, rate: int) -> bytes:
    numbers = np.round(omega * SCALE).astype(">i2").tobytes()
    stream = [
        _entry(b"STMP", b"J", 8, 1, struct.pack(">Q", first * 1_000_000 // rate)),
        _entry(b"TSMP", b"L", 4, 1, struct.pack(">I", first + len(omega))),
        _entry(b"STNM", b"c", 1, 9, b"Gyroscope"),
        _entry(b"SIUN", b"c", 5, 1, b"rad/s"),
        _entry(b"SCAL", b"s", 2, 1, struct.pack(">h", SCALE)),
        _entry(b"GYRO", b"s", 6, len(omega), numbers),
    ]
    device = _entry(b"DVID", b"L", 4, 1, struct.pack(">I", 1))
    device += _entry(b"DVNM", b"c", 1, 11, b"Hero9 Black")
    return _nested(b"DEVC", device + _nested(b"STRM", b"".join(stream)))


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", flags), *parts)


def _movie(samples: list[bytes], place: int) -> bytes:
    count, length = len(samples), 1000 * len(samples)
    sizes = [len(sample) for sample in samples]
    places = np.cumsum([place, *sizes[:-1]])
    table = _box(
        b"stbl",
        _full(
            b"stsd",
            struct.pack(">I", 1),
            _box(b"gpmd", bytes(6), struct.pack(">HI", 1, 0)),
        ),
        _full(b"stts", struct.pack(">III", 1, count, 1000)),
        _full(b"stsc", struct.pack(">IIII", 1, 1, 1, 1)),
        _full(b"stsz", struct.pack(f">II{count}I", 0, count, *sizes)),
        _full(b"stco", struct.pack(f">I{count}I", count, *places)),
    )
    general = _full(b"gmin", struct.pack(">6H", 0x40, 0x8000, 0x8000, 0x8000, 0, 0))
    sources = _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1))
    media = _box(
        b"mdia",
        _full(b"mdhd", struct.pack(">IIIIHH", 0, 0, 1000, length, 0, 0)),
        _full(b"hdlr", b"mhlr", b"meta", bytes(12), b"\x0b  GoPro MET"),
        _box(b"minf", _box(b"gmhd", general), _box(b"dinf", sources), table),
    )
    track = _full(
        b"tkhd",
        struct.pack(">7I", 0, 0, 1, 0, length, 0, 0),
        bytes(8),
        MATRIX,
        bytes(8),
        flags=15,
    )
    movie = _full(
        b"mvhd",
        struct.pack(">5IH", 0, 0, 1000, length, 0x10000, 0x100),
        bytes(10),
        MATRIX,
        bytes(24),
        struct.pack(">I", 2),
    )
    return _box(b"moov", movie, _box(b"trak", track, media))
