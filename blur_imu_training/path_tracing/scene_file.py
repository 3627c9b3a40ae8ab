"""Scenes in the XML of Mitsuba 0.5 and 0.6, made readable for Mitsuba 3.

Files that a scene names but that are not there are replaced: shapes are left out, textures and
skies become plain. The scene's folder may be read-only: nothing is written into it.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

from blur_imu_ros.errors import RecordingError

SKIES = ("sunsky", "sky", "sun")
"""Emitters that Mitsuba 3 has under other names, with other parameters."""

PLAIN_TEXTURE = "0.45, 0.40, 0.35"
PLAIN_SKY = "1.2, 1.3, 1.5"
"""RGB: a reflectance, and a radiance."""

KEPT_OF_FILM = ("width", "height")
OLD_NAMES = (
    *("filterType", "filter_type", "highQualityEdges", "high_quality_edges"),
    *("extEta", "ext_eta"),
)
"""Parameters that Mitsuba 3 knows no more."""

VALUES = ("float", "boolean", "string", "integer", "rgb", "spectrum")


@dataclass
class SceneFile:
    """A scene for Mitsuba 3.

    Attributes:
        root: its XML; names of files are absolute.
        missing: what the scene names and lacks.
    """

    root: ET.Element
    missing: list[str]

    @property
    def xml(self) -> str:
        """The scene as text."""
        return ET.tostring(self.root, encoding="unicode")

    def without(self, names: list[str]) -> int:
        """Leave out the parameters with these names in snake case; return how many there were."""
        found = [
            (parent, child)
            for parent in self.root.iter()
            for child in parent
            if child.tag in VALUES and _snake_case(child.get("name", "")) in names
        ]
        for parent, child in found:
            parent.remove(child)
        return len(found)


def read_scene_file(path: Path) -> SceneFile:
    """Return the scene; RecordingError if the file is not a scene."""
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError) as error:
        raise RecordingError(f"{path}: is not a scene: {error}") from error
    _fill_in_defaults(root)
    scene = SceneFile(root, [])
    for parent in list(root.iter()):
        for child in list(parent):
            _renew(scene, parent, child, path.parent.resolve())
    return scene


def _fill_in_defaults(root: ET.Element) -> None:
    defaults = {e.get("name", ""): e.get("value", "") for e in root.findall("default")}
    for element in [*root.findall("default"), *root.findall("integrator")]:
        root.remove(element)
    for element in root.iter():
        for key, value in element.attrib.items():
            for name, default in defaults.items():
                value = value.replace(f"${name}", default)
            element.set(key, value)


def _renew(scene: SceneFile, parent: ET.Element, child: ET.Element, folder: Path) -> None:
    name = child.find("string[@name='filename']")
    is_missing = name is not None and not _found(name, folder)
    if name is not None and is_missing:
        scene.missing.append(name.get("value", ""))
    if child.tag == "shape" and is_missing:
        parent.remove(child)
    elif child.tag == "texture" and is_missing:
        plain = {"name": child.get("name", "reflectance"), "value": PLAIN_TEXTURE}
        _replace(parent, child, ET.Element("rgb", plain))
    elif child.tag == "emitter" and (child.get("type") in SKIES or is_missing):
        sky = ET.Element("emitter", {"type": "constant"})
        ET.SubElement(sky, "rgb", {"name": "radiance", "value": PLAIN_SKY})
        _replace(parent, child, sky)
    elif child.tag == "sampler" or (child.tag in VALUES and child.get("name") in OLD_NAMES):
        parent.remove(child)
    elif child.tag == "film":
        child.set("type", "hdrfilm")
        for part in list(child):
            if part.get("name") not in KEPT_OF_FILM:
                child.remove(part)


def _replace(parent: ET.Element, old: ET.Element, new: ET.Element) -> None:
    place = list(parent).index(old)
    parent.remove(old)
    parent.insert(place, new)


def _found(name: ET.Element, folder: Path) -> bool:
    """Make the name of a file absolute; return whether the file is there.

    Scenes name files from where the artist had them: upwards, or in a folder of textures.
    """
    given = name.get("value", "").replace("\\", "/")
    inner = re.sub(r"^(\.\./)+", "", given)
    for candidate in (given, inner, f"textures/{Path(given).name}", f"models/{Path(given).name}"):
        if (folder / candidate).is_file():
            name.set("value", str(folder / candidate))
            return True
    return False


def _snake_case(name: str) -> str:
    return re.sub(r"([A-Z])", lambda letter: "_" + letter[1].lower(), name)
