"""One motion as many programs write it."""

from __future__ import annotations

import numpy as np

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
    "units behind spaces": "# timestamp [ns] w_x [rad s^-1] w_y [rad s^-1] w_z [rad s^-1]\n"
    + lines("{n} {x} {y} {z}"),
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
