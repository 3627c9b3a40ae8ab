"""Build our message in place, where ROS 2 comes from PyPI: `python tools/build_messages.py`.

Like `build_ext --inplace`: the generated `msg` package goes into the source tree (ignored by git)
and its libraries into the environment, so that `from blur_imu_ros.msg import BlurMotion` just
works. On a robot colcon does this instead. Without compiler or ROS this says so and changes
nothing: the node runs on standard messages alone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "blur_imu_ros"

FIX = """
# Exported generator targets name the include folder of the machine that built the wheels.
function(clear_foreign_includes)
  get_property(targets DIRECTORY PROPERTY IMPORTED_TARGETS)
  foreach(target ${targets})
    if(target MATCHES "__rosidl_generator_py$")
      set_property(TARGET ${target} PROPERTY INTERFACE_INCLUDE_DIRECTORIES "")
    endif()
  endforeach()
endfunction()
cmake_language(DEFER CALL clear_foreign_includes)
"""


def main() -> int:
    """Build, or say in one line why not; returns 0 unless the build itself fails."""
    missing = _missing()
    if missing:
        print(f"message not built: {missing} not found; the node runs on standard messages alone")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        log = _build(Path(folder))
        if log is not None:
            print(f"message build failed:\n{log[-4000:]}", file=sys.stderr)
            return 1
        _copy(Path(folder) / "install")
    print("message built: blur_imu_ros.msg.BlurMotion")
    return 0


def _missing() -> str:
    """Return what is not here of all that the build needs."""
    programs = [name for name in ("cmake", "ninja", "gcc") if shutil.which(name) is None]
    generators = Path(sys.prefix) / "share" / "rosidl_default_generators"
    return ", ".join(programs + ([] if generators.is_dir() else ["rosidl_default_generators"]))


def _build(folder: Path) -> str | None:
    """Configure, build and install under `folder`; return the log if that fails."""
    source = _source(folder / "source")
    fix = folder / "fix.cmake"
    fix.write_text(FIX)
    environment = os.environ | {
        "AMENT_PREFIX_PATH": sys.prefix,
        "CMAKE_PREFIX_PATH": sys.prefix,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    configure = [
        "cmake", "-S", str(source), "-B", str(folder / "build"), "-GNinja",
        f"-DCMAKE_INSTALL_PREFIX={folder / 'install'}", f"-DCMAKE_PROJECT_INCLUDE={fix}",
        f"-DPython3_EXECUTABLE={sys.executable}", "-DBUILD_TESTING=OFF",
    ]  # fmt: skip
    for command in (configure, ["cmake", "--build", str(folder / "build"), "--target", "install"]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            return done.stdout + done.stderr
    return None


def _source(folder: Path) -> Path:
    """Return a copy of what the build reads: CMake refuses an environment inside its source."""
    for name in (PACKAGE, "config", "launch", "models", "rviz", "scripts"):
        (folder / name).mkdir(parents=True)
    for script in (ROOT / "scripts").iterdir():
        shutil.copy2(script, folder / "scripts")
    for name in ("CMakeLists.txt", "package.xml"):
        shutil.copy2(ROOT / name, folder)
    shutil.copytree(ROOT / "msg", folder / "msg")
    return folder


def _copy(install: Path) -> None:
    source = next(install.glob(f"**/{PACKAGE}/msg/__init__.py")).parent
    target = ROOT / PACKAGE
    shutil.rmtree(target / "msg", ignore_errors=True)
    shutil.copytree(source, target / "msg")
    for library in source.parent.glob("*.so"):
        _copy_library(library, target)
    for library in (install / "lib").glob(f"lib{PACKAGE}__*.so"):
        _copy_library(library, Path(sys.prefix) / "lib")


def _copy_library(library: Path, folder: Path) -> None:
    """Copy beside, then rename: a node that runs keeps the library that it has mapped."""
    beside = folder / f".{library.name}.new"
    shutil.copy2(library, beside)
    beside.replace(folder / library.name)


if __name__ == "__main__":
    sys.exit(main())
