"""Files of bags, read without ROS: rosbag1, and rosbag2 in sqlite3 or MCAP, whole or in parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import yaml
from rosbags.interfaces import Connection, ConnectionExtRosbag2, MessageDefinitionFormat
from rosbags.rosbag2 import Reader as Reader2
from rosbags.typesys import (
    Stores,
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
)
from rosbags.typesys.store import Typestore

from blur_imu_ros.errors import RecordingError
from blur_imu_ros.execution.resources import PACKAGE, resource_path
from blur_imu_ros.recordings import foxglove
from blur_imu_ros.recordings.bag_names import METADATA, STORAGES
from blur_imu_ros.recordings.file_names import natural_order
from blur_imu_ros.recordings.mcap_files import ROS1, GapError, McapFile
from blur_imu_ros.recordings.rosbag1_files import CutRosbag1, Rosbag1
from blur_imu_ros.recordings.sqlite_files import CutSqlite
from blur_imu_ros.recordings.video_packets import VIDEOS

MOTION = f"{PACKAGE}/msg/BlurMotion"
"""Our message."""


class StorageFile(Protocol):
    """A file of messages."""

    connections: list[Connection]

    def messages(
        self, connections: Sequence[Connection]
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, time of recording (ns) and bytes of each message."""

    def close(self) -> None:
        """Close the file."""


class BagFile:
    """The files of one bag, one after the other; a context manager that closes them.

    Attributes:
        connections: of all files; a topic may have several.
        notes: what a person should know of how the files were found.
    """

    def __init__(self, path: Path) -> None:
        """Name the bag: a file, or the folder of a rosbag2."""
        self._path = path
        self._files: list[StorageFile] = []
        self._stack = ExitStack()
        self._stores: dict[tuple[str, str], Typestore] = {}
        self.connections: list[Connection] = []
        self.notes: list[str] = []

    def __enter__(self) -> BagFile:
        """Open the files; RecordingError if they are not a bag."""
        try:
            for opened in self._open():
                self._stack.callback(opened.close)
                self._files.append(opened)
        except Exception as error:  # rosbags raises what its readers meet.
            self._stack.close()
            if isinstance(error, RecordingError):
                raise
            said = reason(error)
            if "malformed" in said:
                said += "; `sqlite3 BAG.db3 .recover | sqlite3 NEW.db3` recovers what it holds"
            raise RecordingError(f"{self._path}: cannot be read as a bag: {said}") from error
        self.connections = [c for one in self._files for c in one.connections]
        return self

    def __exit__(self, *details: Any) -> None:
        """Close the files."""
        self._stack.close()

    def messages(
        self, connections: Sequence[Connection]
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, time of recording (ns) and bytes of each message of some connections.

        Raises:
            GapError: messages behind a damaged part have been given.
            Exception: a file is damaged; what is readable of all files has been given.
        """
        damage: Exception | None = None
        has_gap = False
        for one in self._files:
            chosen = [c for c in connections if any(c is known for known in one.connections)]
            try:
                for message in one.messages(chosen) if chosen else ():
                    has_gap = damage is not None
                    yield message
            except Exception as error:  # rosbags raises what its readers meet.
                damage = damage or error
        if damage is not None:
            raise GapError(reason(damage)) if has_gap else damage

    def deserialize(self, raw: bytes, connection: Connection) -> Any:
        """Return the message that `raw` holds."""
        encoding = encoding_of(connection)
        if encoding in foxglove.ENCODINGS:
            return foxglove.decoded(raw, connection.msgtype, encoding)
        store = self.store_of(connection)
        if is_ros1(connection):
            return store.deserialize_ros1(raw, connection.msgtype)
        return store.deserialize_cdr(raw, connection.msgtype)

    def store_of(self, connection: Connection) -> Typestore:
        """Return the message types of a connection: as the bag defines them, else as ROS does.

        Definitions of other topics do not matter.

        Raises:
            RecordingError: neither knows the type.
        """
        key = connection.msgtype, connection.msgdef.data
        if key not in self._stores:
            self._stores[key] = self._store_for(connection)
        return self._stores[key]

    def _store_for(self, connection: Connection) -> Typestore:
        try:
            store = _defined_by(connection)
        except Exception as error:  # The library raises what its parsers meet.
            store, why = None, reason(error)
        else:
            why = "it is missing" if store is None else "it is not that of its hash"
        if store is not None and _is_right(store, connection):
            return store
        standard = ros1_types() if is_ros1(connection) else typestore()
        if connection.msgtype in standard.types and _is_right(standard, connection):
            return standard
        raise RecordingError(
            f"{self._path} {connection.topic}: the definition of {connection.msgtype} cannot be "
            f"used: {why}"
        )

    def _open(self) -> Iterator[StorageFile]:
        path = self._path
        folder = path if path.is_dir() else path.parent
        metadata = _metadata_of(folder)
        if metadata.get("compression_mode"):
            yield _read_by_library(Reader2(folder))
            return
        named = [folder / Path(str(x)).name for x in metadata.get("relative_file_paths") or []]
        files = [path] if path.is_file() else [one for one in named if one.is_file()]
        if path.is_dir() and not files:
            there = [one for one in path.iterdir() if one.suffix.lower() in STORAGES]
            files = sorted(there, key=natural_order)
        missing = [] if path.is_file() else [one.name for one in named if one not in files]
        if missing and files:
            self.notes.append(
                f"{METADATA} names {', '.join(missing)}, which is missing; using "
                f"{', '.join(one.name for one in files)}"
            )
        if not files:
            raise RecordingError(
                f"{path}: cannot be read as a bag: its files are missing "
                f"({', '.join(missing) or 'none of .mcap or .db3'})"
            )
        for one in files:
            log = one.with_name(f"{one.name}-wal")
            if log.is_file() and log.stat().st_size:
                self.notes.append(
                    f"messages that are still in {log.name} are not read; `sqlite3 {one.name} "
                    ".tables` merges them into the bag"
                )
            yield _opened(one)


def encoding_of(connection: Connection) -> str:
    """Return how the messages of a connection are encoded."""
    extension = connection.ext
    if isinstance(extension, ConnectionExtRosbag2):
        return extension.serialization_format
    return ROS1


def is_ros1(connection: Connection) -> bool:
    """Whether the messages of a connection are written as ROS 1 does."""
    return encoding_of(connection) == ROS1


def is_ros(connection: Connection) -> bool:
    """Whether the messages of a connection are those of ROS."""
    return encoding_of(connection) not in foxglove.ENCODINGS


@cache
def typestore() -> Typestore:
    """Return the messages of ROS 2, ours and packets of video, for bags that do not define them."""
    store = get_typestore(Stores.ROS2_JAZZY)
    definition = resource_path("msg", "BlurMotion.msg")
    if definition is not None:
        store.register(get_types_from_msg(definition.read_text(), MOTION))
    for kind, text in VIDEOS.items():
        store.register(get_types_from_msg(text, kind))
    return store


@cache
def ros1_types() -> Typestore:
    """Return the messages of ROS 1."""
    return get_typestore(Stores.ROS1_NOETIC)


def reason(error: Exception) -> str:
    """Return what an exception of a library says, in one line."""
    lines = str(error).splitlines()
    own = isinstance(error, RecordingError)
    own |= type(error).__module__.startswith(("rosbags", "mcap"))
    if lines and own:
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _opened(path: Path) -> StorageFile:
    suffix = path.suffix.lower()
    if suffix == ".mcap":
        return McapFile(path)
    if suffix == ".db3":
        try:
            return _read_by_library(Reader2(path))
        except Exception as error:  # rosbags raises what its readers meet.
            with suppress(RecordingError):
                return CutSqlite(path)
            raise error
    try:
        return Rosbag1(path)
    except Exception:  # rosbags raises what its readers meet.
        return CutRosbag1(path)


def _read_by_library(reader: Any) -> StorageFile:
    reader.open()
    opened: StorageFile = reader
    return opened


def _metadata_of(folder: Path) -> dict[str, Any]:
    """Return what rosbag2 writes beside its files; nothing where that cannot be read."""
    try:
        content = yaml.safe_load((folder / METADATA).read_text(encoding="utf-8"))
        information = content["rosbag2_bagfile_information"]
        mode = str(information.get("compression_mode") or "").lower()
        return dict(information, compression_mode="" if mode == "none" else mode)
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}


def _defined_by(connection: Connection) -> Typestore | None:
    """Return the types that a bag defines for a connection, None where it does not."""
    definition = connection.msgdef
    if definition.format is MessageDefinitionFormat.NONE or not definition.data.strip():
        return None
    store = get_typestore(Stores.EMPTY)
    if definition.format is MessageDefinitionFormat.MSG:
        store.register(get_types_from_msg(definition.data, connection.msgtype))
        store.generate_msgdef(
            connection.msgtype
        )  # It raises where a type that is used is not there.
        return store
    separator = "=" * 80 + "\n"
    for part in definition.data.split(separator):
        text = part.split("\n", 1)[-1] if part.startswith("IDL: ") else part
        if text.strip():
            store.register(get_types_from_idl(text))
    return store


def _is_right(store: Typestore, connection: Connection) -> bool:
    """Whether a type is that of the connection's hash, as far as it has one."""
    wanted, kind = connection.digest, connection.msgtype
    if not wanted or wanted == "*":
        return True
    found = store.generate_msgdef(kind)[1] if is_ros1(connection) else store.hash_rihs01(kind)
    return found == wanted
