"""Files of rosbag1, also damaged ones and those whose index was never written, as after a loss of
power.

Format: https://wiki.ros.org/Bags/Format/2.0
"""

from __future__ import annotations

import bz2
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import lz4.frame
from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag1,
    MessageDefinition,
    MessageDefinitionFormat,
)
from rosbags.rosbag1 import Reader

from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.mcap_files import GapError, message_type

MAGIC = b"#ROSBAG V2.0\n"
_MESSAGE, _CHUNK, _CONNECTION = 2, 5, 7
_UNPACK = {"none": bytes, "bz2": bz2.decompress, "lz4": lz4.frame.decompress}

Fields = dict[str, bytes]


class Rosbag1:
    """A file with its index; where a chunk turns out to be damaged, those behind it are read
    without.

    Attributes:
        connections: of the index.
    """

    def __init__(self, path: Path) -> None:
        """Read the index; rosbags raises what it meets where there is none."""
        self._path, self._reader = path, Reader(path)
        self._reader.open()
        self.connections = self._reader.connections

    def messages(
        self, connections: Collection[Connection]
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, time of recording (ns) and bytes of each message, in order of time.

        Raises:
            GapError: messages behind a damaged part have been given.
            Exception: the file is damaged; all that is readable has been given.
        """
        given, has_gap = -1, False
        try:
            for connection, given, raw in self._reader.messages(connections):
                yield connection, given, raw
        except Exception as error:  # rosbags raises what its readers meet.
            chosen, rest = {c.id: c for c in connections}, CutRosbag1(self._path)
            with closing(rest), suppress(RecordingError):
                for connection, time, raw in rest.messages(rest.connections):
                    if time > given and connection.id in chosen:
                        has_gap = True
                        yield chosen[connection.id], time, raw
            if has_gap:
                raise GapError("a chunk cannot be read") from error
            raise

    def close(self) -> None:
        """Close the file."""
        self._reader.close()


class CutRosbag1:
    """The chunks of a file, one after the other.

    Attributes:
        connections: the topics that were found.
    """

    def __init__(self, path: Path) -> None:
        """Read the whole file once; RecordingError if no message is in it."""
        self._path = path
        self._file = path.open("rb")
        self._has_gap = False
        found: dict[int, Connection] = {}
        counts: Counter[int] = Counter()
        for fields, data in self._records():
            number = _number(fields["conn"])
            if fields["op"][0] == _CONNECTION:
                found.setdefault(number, self._connection(number, fields, data))
            else:
                counts[number] += 1
        if not counts:
            self._file.close()
            raise RecordingError(f"{path}: cannot be read as a bag: no message in it is whole")
        self.connections = [c._replace(msgcount=counts[n]) for n, c in found.items()]

    def messages(
        self, connections: Collection[Connection]
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, time of recording (ns) and bytes of each message, in the file's order.

        Raises:
            RecordingError: at the end, as the file is damaged; GapError where a chunk is.
        """
        chosen = {c.id: c for c in connections}
        for fields, data in self._records():
            number = _number(fields["conn"])
            if fields["op"][0] == _MESSAGE and number in chosen:
                seconds, nanoseconds = struct.unpack("<II", fields["time"])
                yield chosen[number], seconds * 10**9 + nanoseconds, data
        if self._has_gap:
            raise GapError("a chunk cannot be read")
        raise RecordingError("it ends without an index")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _records(self) -> Iterator[tuple[Fields, bytes]]:
        """Yield the connections and messages of the chunks that are whole."""
        self._file.seek(0)
        if self._file.readline() != MAGIC:
            return
        for fields, data in _records_of(self._file):
            if fields["op"][0] != _CHUNK:
                continue
            try:
                content = _UNPACK[fields["compression"].decode()](data)
            except Exception:  # The libraries for compression raise types of their own.
                self._has_gap = True
                continue
            for inner, raw in _records_of(BytesIO(content)):
                if inner["op"][0] in (_MESSAGE, _CONNECTION) and len(inner.get("conn", b"")) == 4:
                    yield inner, raw

    def _connection(self, number: int, fields: Fields, data: bytes) -> Connection:
        fields = _fields(data) or {}

        def text(name: str) -> str:
            return fields.get(name, b"").decode(errors="replace")

        return Connection(
            number,
            fields.get("topic", b"").decode(errors="replace"),
            message_type(text("type")),
            MessageDefinition(MessageDefinitionFormat.MSG, text("message_definition")),
            text("md5sum"),
            0,
            ConnectionExtRosbag1(None, None),
            self,
        )


def _records_of(file: BinaryIO) -> Iterator[tuple[Fields, bytes]]:
    """Yield header fields and data of records, up to the first that is not whole."""
    while True:
        header = _sized(file)
        data = None if header is None else _sized(file)
        fields = None if header is None or data is None else _fields(header)
        if fields is None or data is None or not fields.get("op"):
            return
        yield fields, data


def _sized(file: BinaryIO) -> bytes | None:
    """Return the bytes behind their number, None where they are not all there."""
    length = file.read(4)
    if len(length) < 4:
        return None
    data = file.read(_number(length))
    return data if len(data) == _number(length) else None


def _fields(header: bytes) -> Fields | None:
    fields, stream = {}, BytesIO(header)
    while stream.tell() < len(header):
        field = _sized(stream)
        if field is None:
            return None
        name, _, value = field.partition(b"=")
        fields[name.decode(errors="replace")] = value
    return fields


def _number(four: bytes) -> int:
    return int.from_bytes(four, "little")
