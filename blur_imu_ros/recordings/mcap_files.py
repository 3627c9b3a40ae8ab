"""MCAP files as they are found: of any profile, without an index, cut off, damaged here and
there."""

from __future__ import annotations

import struct
from collections import Counter, deque
from collections.abc import Collection, Iterator
from contextlib import suppress
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import Channel, Chunk, ChunkIndex, McapRecord, Message, Schema
from mcap.stream_reader import StreamReader, breakup_chunk
from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)
from rosbags.rosbag2.metadata import parse_qos

from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings import foxglove

ROS1, ROS2 = "ros1", "cdr"
"""How ROS encodes messages in channels."""
FORMATS = {
    "ros1msg": MessageDefinitionFormat.MSG,
    "ros2msg": MessageDefinitionFormat.MSG,
    "ros2idl": MessageDefinitionFormat.IDL,
    "omgidl": MessageDefinitionFormat.IDL,
}


class GapError(RecordingError):
    """Messages are missing between others that have been given."""


class McapFile:
    """The channels of ROS in one file, and Foxglove's images; other channels are passed over.

    Attributes:
        connections: the channels, as the library for bags describes them.
        damage: what was wrong with the file, as far as it was read; empty where nothing was.
    """

    def __init__(self, path: Path) -> None:
        """Read the index, or the whole file where it has none; McapError if it is not an MCAP."""
        self.damage, self._has_gap = "", False
        self._schemas: dict[int, Schema] = {}
        self._channels: dict[int, Channel] = {}
        self._counts: Counter[int] = Counter()
        self._chunks: list[ChunkIndex] = []
        self._file = path.open("rb")
        try:
            reader = make_reader(self._file)
            if not self._read_index(reader):
                for record in self._scan():
                    if isinstance(record, Message):
                        self._counts[record.channel_id] += 1
        except BaseException:
            self._file.close()
            raise
        self.connections = [self._connection(c) for c in self._channels.values() if self._of_ros(c)]

    def messages(
        self, connections: Collection[Connection]
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, time of recording (ns) and bytes of each message, in order of time.

        Raises:
            McapError: the file is cut off; all that is readable has been given.
            GapError: the same of a chunk that is damaged.
        """
        chosen = {c.id: c for c in connections}
        records = self._indexed(chosen) if self._chunks else self._scan()
        for record in records:
            if isinstance(record, Message) and record.channel_id in chosen:
                yield chosen[record.channel_id], record.log_time, record.data
        if self.damage:
            raise (GapError if self._has_gap else McapError)(self.damage)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read_index(self, reader: Any) -> bool:
        """Take channels, counts and chunks from the summary; False if that is not whole."""
        try:
            summary = reader.get_summary()
        except Exception:  # The library raises what its parsers meet.
            return False
        if summary is None or summary.statistics is None or not summary.chunk_indexes:
            return False
        schemas = {c.schema_id for c in summary.channels.values()} - {0}
        if not schemas <= summary.schemas.keys():
            return False
        self._schemas, self._channels = summary.schemas, summary.channels
        self._counts.update(summary.statistics.channel_message_counts)
        self._chunks = summary.chunk_indexes
        return True

    def _scan(self) -> Iterator[McapRecord]:
        """Yield what is in the file, from begin to end or to where it is cut off."""
        self._file.seek(0)
        try:
            for record in StreamReader(self._file, emit_chunks=True).records:
                for one in self._opened(record) if isinstance(record, Chunk) else [record]:
                    if isinstance(one, Schema):
                        self._schemas[one.id] = one
                    elif isinstance(one, Channel):
                        self._channels[one.id] = one
                    yield one
        except (McapError, struct.error, ValueError, OverflowError, MemoryError) as error:
            self._note(error, "the file is cut off")

    def _indexed(self, ids: Collection[int]) -> Iterator[McapRecord]:
        """Yield the messages of some channels in order of time, chunk by chunk as they come."""
        holding = [
            c for c in self._chunks if not c.message_index_offsets
            or any(i in c.message_index_offsets for i in ids)
        ]  # fmt: skip
        chunks = deque(sorted(holding, key=lambda c: c.message_start_time))
        waiting: list[tuple[int, int, McapRecord]] = []
        count = 0
        while chunks or waiting:
            while chunks and (not waiting or chunks[0].message_start_time <= waiting[0][0]):
                for record in self._read_chunk(chunks.popleft()):
                    if isinstance(record, Message) and record.channel_id in ids:
                        heappush(waiting, (record.log_time, count, record))
                        count += 1
            if waiting:
                yield heappop(waiting)[2]

    def _read_chunk(self, index: ChunkIndex) -> list[McapRecord]:
        try:
            self._file.seek(index.chunk_start_offset)
            reader = StreamReader(self._file, skip_magic=True, emit_chunks=True)
            record = next(iter(reader.records))
        except (McapError, struct.error, ValueError, OverflowError, MemoryError) as error:
            self._note_chunk(error)
            return []
        return self._opened(record) if isinstance(record, Chunk) else []

    def _opened(self, chunk: Chunk) -> list[McapRecord]:
        """Return what is in a chunk; nothing of a damaged one."""
        try:
            return breakup_chunk(chunk, validate_crc=True)
        except Exception as error:  # The libraries for compression raise types of their own.
            self._note_chunk(error)
            return []

    def _note_chunk(self, error: BaseException) -> None:
        self._note(error, "a chunk cannot be read")
        self._has_gap = True

    def _note(self, error: BaseException, what: str) -> None:
        said = str(error).splitlines()
        self.damage = self.damage or (f"{what} ({said[0]})" if said else what)

    def _of_ros(self, channel: Channel) -> bool:
        schema = self._schemas.get(channel.schema_id)
        if channel.message_encoding in foxglove.ENCODINGS:
            return schema is not None and schema.name in foxglove.SCHEMAS
        known = schema is None or schema.encoding in FORMATS or not schema.encoding
        return channel.message_encoding in (ROS1, ROS2) and known

    def _connection(self, channel: Channel) -> Connection:
        schema, qos = self._schemas.get(channel.schema_id), []
        with suppress(Exception):  # Quality of service is nothing to us but to copy.
            qos = parse_qos(channel.metadata.get("offered_qos_profiles", []))
        definition = MessageDefinition(MessageDefinitionFormat.NONE, "")
        if schema is not None and schema.encoding in FORMATS and schema.data:
            text = schema.data.decode(errors="replace")
            definition = MessageDefinition(FORMATS[schema.encoding], text)
        return Connection(
            channel.id,
            channel.topic,
            "" if schema is None else message_type(foxglove.ros_name(schema.name)),
            definition,
            "",
            self._counts[channel.id],
            ConnectionExtRosbag2(channel.message_encoding, qos),
            self,
        )


def message_type(name: str) -> str:
    """Return the name of a message type as ROS 2 has it: sensor_msgs/msg/Image."""
    package, _, kind = name.partition("/")
    return f"{package}/msg/{kind}" if kind and "/" not in kind else name
