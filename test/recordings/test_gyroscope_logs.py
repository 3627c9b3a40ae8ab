"""Logs of phones and data sets are read as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blur_imu_ros.choices import Unit
from blur_imu_ros.errors import RecordingError
from blur_imu_ros.recordings.velocities import read_velocities

ROWS = [(0.5, 1.0, 2.0, 3.0), (0.51, 4.0, 5.0, 6.0), (0.52, -7.5, 8.25, 0.125)]
"""Time and rates of every log here."""


def lines(row: str, scale: float = 1.0, rate: float = 1.0) -> str:
    """A line of a log for each row, from a format of t, x, y and z."""
    return "".join(
        row.format(t=t * scale, n=round(t * 1e9), x=x * rate, y=y * rate, z=z * rate) + "\n"
        for t, x, y, z in ROWS
    )


DEGREES = 180 / np.pi
LOGS = {
    "phyphox": '"Time (s)","Gyroscope x (rad/s)","Gyroscope y (rad/s)","Gyroscope z (rad/s)",'
    '"Absolute (rad/s)"\n' + lines("{t},{x},{y},{z},3.7"),
    "phyphox, several sensors": '"Time (s)","X (rad/s)","Y (rad/s)","Z (rad/s)"\n'
    + lines("{t:.9E},{x:.9E},{y:.9E},{z:.9E}"),
    "phyphox in degrees": "Time (s),Gyroscope x (deg/s),Gyroscope y (deg/s),Gyroscope z (deg/s)\r\n"
    + lines("{t},{x},{y},{z}", rate=DEGREES),
    "phyphox, German": '"Zeit (s)";"Gyroskop x (rad/s)";"Gyroskop y (rad/s)";"Gyroskop z (rad/s)"\n'
    + lines("{t};{x};{y};{z}").replace(".", ","),
    "phyphox, Polish, tabs": '"Czas (s)"\t"Żyroskop x (rad/s)"\t"Żyroskop y (rad/s)"\t'
    '"Żyroskop z (rad/s)"\n' + lines("{t}\t{x}\t{y}\t{z}"),
    "phyphox, Japanese": "時間 (s),ジャイロ x (rad/s),ジャイロ y (rad/s),ジャイロ z (rad/s)\n"
    + lines("{t},{x},{y},{z}"),
    "Sensor Logger": "time,seconds_elapsed,z,y,x\n" + lines("{n},{t},{z},{y},{x}"),
    "StrayScanner": "timestamp, a_x, a_y, a_z, alpha_x, alpha_y, alpha_z\n"
    + lines("{t}, 0, 9.8, 0, {x}, {y}, {z}"),
    "EuRoC": "#timestamp [ns],w_RS_S_x [rad s^-1],w_RS_S_y [rad s^-1],w_RS_S_z [rad s^-1],"
    "a_RS_S_x [m s^-2]\n" + lines("{n},{x},{y},{z},9.8"),
    "TUM-VI": "#timestamp [ns],w.x [rad s^-1],w.y [rad s^-1],w.z [rad s^-1],a.x [m s^-2]\n"
    + lines("{n},{x},{y},{z},9.8"),
    "Kalibr": "timestamp,omega_x,omega_y,omega_z,alpha_x,alpha_y,alpha_z\n"
    + lines("{n},{x},{y},{z},0,0,9.8"),
    "AndroSensor": "ACCELEROMETER X (m/s²);ACCELEROMETER Y (m/s²);ACCELEROMETER Z (m/s²);"
    "GYROSCOPE X (rad/s);GYROSCOPE Y (rad/s);GYROSCOPE Z (rad/s);Time since start in ms ;"
    "YYYY-MO-DD HH-MI-SS_SSS\n"
    + lines("0.1;0.2;9.8;{x};{y};{z};{t:.0f};2023-01-01 12:00:00:000", scale=1e3),
    "MARS logger": "Timestamp[nanosec],gx[rad/s],gy[rad/s],gz[rad/s],ax[m/s^2],ay[m/s^2],"
    "az[m/s^2],Unix time[nanosec]\n" + lines("{n},{x},{y},{z},0,0,9.8,{n}"),
    "SensorLog": "loggingTime(txt),motionTimestamp_sinceReboot(s),motionRotationRateX(rad/s),"
    "motionRotationRateY(rad/s),motionRotationRateZ(rad/s)\n"
    + lines("2023-01-01 00:00:00.000 +0200,{t},{x},{y},{z}"),
    "OpenCamera-Sensors": lines("{x},{y},{z},{n}"),
    "time first, no headings": lines("{n} {x} {y} {z}"),
    "Physics Toolbox": "time,gFx,gFy,gFz,wx,wy,wz,\n" + lines("{t},0,0,1,{x},{y},{z},"),
    "rostopic echo -p": "%time,field.header.seq,field.header.stamp,field.header.frame_id,"
    "field.angular_velocity.x,field.angular_velocity.y,field.angular_velocity.z,"
    "field.angular_velocity_covariance0\n" + lines("{n},1,{n},imu,{x},{y},{z},0.1"),
    "bagpy": "Time,header.stamp.secs,header.stamp.nsecs,angular_velocity.x,angular_velocity.y,"
    "angular_velocity.z\n" + lines("{t},0,{n},{x},{y},{z}"),
    "PlotJuggler": "__time,/imu/angular_velocity/x,/imu/angular_velocity/y,/imu/angular_velocity/z,"
    "/odom/x\n0.505,,,,1\n" + lines("{t},{x},{y},{z},"),
    "Blackbox": "loopIteration,time (us),gyroADC[0],gyroADC[1],gyroADC[2],motor[0]\n"
    + lines("1,{t:.0f},{x},{y},{z},1000", scale=1e6, rate=DEGREES),
    "GoPro": "cts,date,Gyroscope (z) [rad/s],Gyroscope (x) [rad/s],Gyroscope (y) [rad/s],"
    "temperature [°C]\n" + lines("{t},2020-01-01T00:00:00.000Z,{z},{x},{y},20", scale=1e3),
    "PX4": "timestamp,timestamp_sample,xyz[0],xyz[1],xyz[2],xyz_derivative[0]\n"
    + lines("{t:.0f},1,{x},{y},{z},0", scale=1e6),
    "MAVLink": "timestamp_ms,rollspeed,pitchspeed,yawspeed\n" + lines("{t},{x},{y},{z}", 1e3),
    "a browser": "time_ms,rotationRate.alpha,rotationRate.beta,rotationRate.gamma\n"
    + lines("{t},{z},{x},{y}", 1e3, DEGREES),
    "dates": "timestamp,wx,wy,wz\n"
    + lines("1970-01-01T00:00:00{t:.6f}Z,{x},{y},{z}").replace("000.", "00."),
    "Gyroflow": "GYROFLOW IMU LOG\nversion,1.3\nid,test\norientation,YxZ\ntscale,0.001\n"
    "gscale,0.125\nt,gx,gy,gz,ax,ay,az\n" + lines("{t:.0f},{x},{y},{z},0,0,1", 1e3, 8),
    "units in a row of their own": "t,wx,wy,wz\ns,rad/s,rad/s,rad/s\n" + lines("{t},{x},{y},{z}"),
    "milliseconds": "timestamp_ms,gyro_x_dps,gyro_y_dps,gyro_z_dps\n"
    + lines("{t},{x},{y},{z}", scale=1e3, rate=DEGREES),
    "a last row that was cut off": "t,wx,wy,wz\n" + 30 * "" + lines("{t},{x},{y},{z}"),
}


def written(folder: Path, text: str) -> Path:
    path = folder / "log.csv"
    path.write_text(text)
    return path


def same(path: Path) -> None:
    series, expected = read_velocities(path), np.array(ROWS)
    np.testing.assert_allclose(series.t, expected[:, 0], atol=1e-9)
    np.testing.assert_allclose(series.velocity[:, :3], expected[:, 1:], rtol=1e-9)
    assert np.isnan(series.velocity[:, 3:]).all()


@pytest.mark.parametrize("name", LOGS)
def test_a_log_is_known_by_its_headings(tmp_path: Path, name: str) -> None:
    same(written(tmp_path, LOGS[name]))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_any_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "log.csv"
    text = LOGS["phyphox"].replace("Absolute (rad/s)", "Temp (°C)")
    path.write_bytes(text.encode(encoding))
    same(path)


def long_log(**changes: float) -> str:
    """A hundred rows, some of them with another time."""
    times = {k: 0.01 * k for k in range(100)} | {int(k[1:]): v for k, v in changes.items()}
    return "t,wx,wy,wz\n" + "".join(f"{t},{k},0,0\n" for k, t in times.items())


@pytest.mark.parametrize(
    ("changes", "left", "said"),
    [
        ({"_50": 0.49}, 99, "1 of 100 rows repeat the time"),
        ({"_50": 0.51, "_51": 0.5}, 99, "out of order"),
        ({"_50": float("nan")}, 99, "out of order or none"),
        ({"_50": 0.0}, 99, "out of order"),
        ({"_50": 1e12}, 99, "out of order"),
        ({"_0": -1e9}, 99, "out of order"),
    ],
)
def test_a_few_wrong_times_cost_their_rows(
    tmp_path: Path, changes: dict[str, float], left: int, said: str
) -> None:
    series = read_velocities(written(tmp_path, long_log(**changes)))
    assert len(series.t) == left and said in " ".join(series.notes)


def test_many_wrong_times_are_refused(tmp_path: Path) -> None:
    text = long_log() + long_log().partition("\n")[2]
    with pytest.raises(RecordingError, match="several recordings in it"):
        read_velocities(written(tmp_path, text))


def test_half_a_row_at_the_end_is_left_out(tmp_path: Path) -> None:
    series = read_velocities(written(tmp_path, long_log() + "1.0,5"))
    assert len(series.t) in (100, 101) and "no numbers" in " ".join(series.notes)


@pytest.mark.parametrize(("unit", "factor"), [("deg", np.pi / 180), ("rad", 1.0), ("ms", 1.0)])
def test_units_can_be_told(tmp_path: Path, unit: str, factor: float) -> None:
    path = written(tmp_path, "t,wx,wy,wz\n" + lines("{t},{x},{y},{z}"))
    series = read_velocities(path, units=[Unit(unit)])
    assert series.velocity[0, 0] == pytest.approx(factor)
    assert series.t[0] == pytest.approx(0.5e-3 if unit == "ms" else 0.5)


@pytest.mark.parametrize(
    "text",
    ["a,b\n1,2\n", "1,2\n3,4\n", '"X (m/s^2)","Y (m/s^2)","Z (m/s^2)","Time (s)"\n1,2,3,4\n'],
)
def test_what_names_no_gyroscope_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecordingError, match=r"log\.csv: (names neither|has no headings)"):
        read_velocities(written(tmp_path, text))


def test_an_archive_is_to_be_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "phyphox.csv"
    path.write_bytes(b"PK\x03\x04" + bytes(30))
    with pytest.raises(RecordingError, match="unpack it"):
        read_velocities(path)


def test_rows_that_a_phone_repeats_are_left_out(tmp_path: Path) -> None:
    rows = "0.5,0.5,0,0,1\n0.5,0.5,0,0,2\n,,,,\n0.6,0.6,0,0,4\n"
    series = read_velocities(written(tmp_path, f"time,seconds_elapsed,z,y,x\n{rows}"))
    np.testing.assert_array_equal(series.t, [0.5, 0.6])
    assert "1 of 3 rows repeat the time" in " ".join(series.notes)


@pytest.mark.parametrize(
    ("rows", "said"), [("1,1,x,0,0\n", "is no number"), ("1,2,0,0,0\n1,2,0,0,0\n", "does not rise")]
)
def test_a_log_that_tells_nothing_is_refused(tmp_path: Path, rows: str, said: str) -> None:
    path = written(tmp_path, f"time,seconds_elapsed,z,y,x\n{rows}")
    with pytest.raises(RecordingError, match=said):
        read_velocities(path)


@pytest.mark.parametrize("name", ["Accelerometer.csv", "MagnetometerUncalibrated.csv"])
def test_the_table_of_another_sensor_is_not_taken_for_rates(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, LOGS["Sensor Logger"]).rename(tmp_path / name)
    with pytest.raises(RecordingError, match=r"give Gyroscope\.csv"):
        read_velocities(path)
    gyroscope = path.rename(tmp_path / "Gyroscope.csv")
    assert len(read_velocities(gyroscope).t) == len(ROWS)
