"""A rosbag2 in sqlite3 whose end is missing, as of a full disk: read as far as it goes."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
)

from blur_imu_ros.errors import RecordingError

MAGIC = b"SQLite format 3\0"
_SIZE_IS_TOLD = 92
"""Where a file says by which change its size in pages was noted; otherwise the file's own size
holds (https://www.sqlite.org/fileformat.html#in_header_database_size)."""


class CutSqlite:
    """The messages that are left, in the order in which they were written, of a copy.

    Attributes:
        connections: the topics.
    """

    def __init__(self, path: Path) -> None:
        """Copy the file and count its messages; RecordingError if there are none."""
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise RecordingError(f"{path}: is not a sqlite3 file")
        self._folder = TemporaryDirectory(prefix="blur_imu_bag_")
        copy = Path(self._folder.name) / "cut.db3"
        counts: Counter[int] = Counter()
        try:
            shutil.copyfile(path, copy)
            with copy.open("r+b") as file:
                file.seek(_SIZE_IS_TOLD)
                file.write(bytes(4))
            self._database = sqlite3.connect(f"file:{copy}?mode=ro&immutable=1", uri=True)
            topics = self._database.execute(
                "SELECT id, name, type, serialization_format FROM topics"
            ).fetchall()
            with suppress(sqlite3.Error):
                for (topic,) in self._database.execute("SELECT topic_id FROM messages NOT INDEXED"):
                    counts[topic] += 1
        except (sqlite3.Error, OSError) as error:
            self._folder.cleanup()
            raise RecordingError(f"{path}: {error}") from error
        if not counts:
            self.close()
            raise RecordingError(f"{path}: no message in it is whole")
        nothing = MessageDefinition(MessageDefinitionFormat.NONE, "")
        self.connections = [
            Connection(
                number, str(name), str(kind), nothing, "", counts[number],
                ConnectionExtRosbag2(str(encoding), []), self,
            )
            for number, name, kind, encoding in topics
        ]  # fmt: skip

    def messages(
        self, connections: Collection[Connection]
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, time of recording (ns) and bytes of each message that is whole.

        Raises:
            RecordingError: at the end, as the file is damaged.
        """
        chosen = {c.id: c for c in connections}
        with suppress(sqlite3.Error):
            for topic, time, raw in self._database.execute(
                "SELECT topic_id, timestamp, data FROM messages NOT INDEXED"
            ):
                if topic in chosen:
                    yield chosen[topic], int(time), bytes(raw)
        raise RecordingError("the file is cut off")

    def close(self) -> None:
        """Close the copy and remove it."""
        self._database.close()
        self._folder.cleanup()
