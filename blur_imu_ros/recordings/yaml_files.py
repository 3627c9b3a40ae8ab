"""YAML as calibration tools write it: OpenCV's dialect, and JSON."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from blur_imu_ros.errors import CameraError


class _Loader(yaml.SafeLoader):
    """Knows the matrices of OpenCV's FileStorage, and refuses keys of two values."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping; of a key that is there twice YAML takes the last one."""
        said: dict[str, str] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode):
                if said.setdefault(key.value, value.value) != value.value:
                    raise CameraError(
                        f"{key.value} is {said[key.value]} and {value.value}; leave one out"
                    )
        return super().construct_mapping(node, deep)


def _opencv_matrix(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:opencv-matrix", _opencv_matrix)


def load_yaml(path: str | Path, complaint: str) -> Any:
    """Return what a YAML file holds, OpenCV's dialect of it too; CameraError says `complaint`."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        if text.lstrip().startswith("{"):
            # JSON may hold tabs, which YAML refuses; a YAML mapping in braces is not JSON.
            with suppress(ValueError):
                return json.loads(text)
        # `%YAML:1.0` is no directive of YAML; `ros2 topic echo` ends with an empty document.
        documents = list(yaml.load_all(re.sub(r"(?m)\A%YAML.*$", "", text), _Loader))
    except OSError as error:
        raise CameraError(f"{path}: cannot be read: {error.strerror}") from error
    except CameraError as error:
        raise CameraError(f"{path}: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CameraError(f"{path}: {complaint}: {str(error).splitlines()[0]}") from error
    return next((document for document in documents if document is not None), None)
