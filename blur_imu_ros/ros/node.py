"""The lifecycle node `blur_imu`: images in, velocities out."""

from __future__ import annotations

import argparse
import signal
import sys
from typing import Any, NoReturn

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType, JumpThreshold  # type: ignore[attr-defined]
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.utilities import remove_ros_args

from blur_imu_ros.errors import BlurImuError, RosSetupError
from blur_imu_ros.network.blur_network import Loader, load_network
from blur_imu_ros.ros import parameters
from blur_imu_ros.ros.diagnostics import Health
from blur_imu_ros.ros.session import Session
from blur_imu_ros.ros.topics import RELIABLE


class BlurImuNode(LifecycleNode):  # type: ignore[misc]
    """Measures the velocity of a camera from its blurred images and publishes it.

    It follows the lifecycle and the parameters; the work is its session's.
    """

    def __init__(self, load: Loader = load_network, **options: Any) -> None:
        """Declare the parameters; all work begins in `on_configure`.

        Args:
            load: gives the network.
            options: of the node, as in rclpy.
        """
        super().__init__("blur_imu", **options)
        self._refused_parameters = parameters.declare(self)
        for said in parameters.misspelt(self):
            self.get_logger().warning(said)
        self._load = load
        self._health = Health()
        self._session: Session | None = None
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._take_parameters)
        self._clock_jumps = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1)),
            post_callback=self._begin_anew,
        )
        self._diagnostics_out = self.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        # Not on ROS time: a simulation that has not begun is worth a report, too.
        self._diagnostics_timer = self.create_timer(
            self.get_parameter("diagnostics_period").value,
            self._publish_diagnostics,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )

    # --- lifecycle ----------------------------------------------------------------------------

    def autostart(self) -> None:
        """Configure and activate, if the parameter says so; failures are logged."""
        if self.get_parameter("autostart").value:
            if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Check the parameters, load and warm up the model, create topics."""
        try:
            if self._refused_parameters:
                raise RosSetupError("; ".join(self._refused_parameters.values()))
            settings = parameters.read(self)
            self._session = Session(self, settings, self._load, self._health)
        except BlurImuError as error:
            return self._not_configured(str(error))
        except Exception as error:  # Runtimes of models raise anything; the node must live on.
            return self._not_configured(f"{type(error).__name__}: {error}")
        self._diagnostics_timer.timer_period_ns = round(settings.diagnostics_period * 1e9)
        self._health.resting("inactive")
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to work on images."""
        assert self._session is not None
        self._session.start()
        self._health.working()
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Rest; subscriptions stay."""
        if self._session is not None:
            self._session.stop()
        self._health.resting("inactive")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give model and topics back."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Give everything back, to be configured again."""
        self.close()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """Drop the session; call it before the node is destroyed."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
        self._health.resting("not configured")

    def _not_configured(self, reason: str) -> TransitionCallbackReturn:
        self.close()
        self.get_logger().error(f"cannot be configured: {reason}")
        self._health.resting(f"cannot be configured: {reason}", failed=True)
        return TransitionCallbackReturn.FAILURE

    def _begin_anew(self, jump: Any) -> None:
        if self._session is not None:
            self._session.times.begin_anew(stepped_back=jump.delta.nanoseconds < 0)

    # --- parameters while running -------------------------------------------------------------

    def _check_parameters(self, changes: list[Parameter[Any]]) -> SetParametersResult:
        try:
            parameters.check_changes(self, changes, self._session is not None)
        except RosSetupError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _take_parameters(self, changes: list[Parameter[Any]]) -> None:
        for change in changes:
            self._refused_parameters.pop(change.name, None)
        session = self._session
        if session is not None:
            session.change(parameters.read(self, session.settings))

    # --- diagnostics --------------------------------------------------------------------------

    def _publish_diagnostics(self) -> None:
        facts = {} if self._session is None else self._session.facts()
        now = self.get_clock().now().to_msg()
        report = self._health.report(now, self.get_fully_qualified_name(), facts)
        self._diagnostics_out.publish(report)


def main(arguments: list[str] | None = None) -> None:
    """Run the node until it is asked to stop (SIGINT or SIGTERM)."""
    arguments = sys.argv if arguments is None else arguments
    signal.signal(signal.SIGINT, _interrupt)
    nodes: list[BlurImuNode] = []
    try:
        namespaces = _namespaces(arguments)
        rclpy.init(args=arguments)
    except (RuntimeError, ValueError) as error:  # Arguments that ROS cannot parse.
        _refuse(error)
    except KeyboardInterrupt:
        sys.exit(0)
    try:
        _create(nodes, namespaces)
        # The work is done in a thread of each node.
        executor = SingleThreadedExecutor()
        for node in nodes:
            executor.add_node(node)
        for node in nodes:
            node.autostart()
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except (RuntimeError, ValueError):
        # A signal while something is being created invalidates the context under it.
        if rclpy.ok():
            raise
    finally:
        _take_no_more(_passed_over)
        for node in nodes:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
        # While Python ends, a handler of its own would be the default one again.
        _take_no_more(signal.SIG_IGN)


def _create(nodes: list[BlurImuNode], namespaces: list[str]) -> None:
    """Append a node for each namespace; end the process where a name is wrong."""
    for namespace in namespaces:
        try:
            nodes.append(BlurImuNode(namespace=namespace))
        except (RuntimeError, ValueError) as error:
            if not rclpy.ok():
                raise
            _refuse(error)


def _refuse(error: Exception) -> NoReturn:
    print(f"blur_imu_node: {str(error).splitlines()[0]}", file=sys.stderr)
    sys.exit(2)


def _interrupt(number: int, frame: Any) -> None:
    """End the node once: a terminal and launch may both send the SIGINT of one Ctrl-C."""
    signal.signal(number, _passed_over)
    raise KeyboardInterrupt


def _passed_over(number: int, frame: Any) -> None:
    """Handle a signal by doing nothing."""


def _take_no_more(handler: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handler)


def _namespaces(arguments: list[str]) -> list[str]:
    """Return the namespace of each node that this process is to run."""
    parser = argparse.ArgumentParser(prog="blur_imu_node", description="Velocity from motion blur.")
    parser.add_argument(
        "--cameras",
        nargs="+",
        default=[""],
        metavar="NAMESPACE",
        help="run a node in each of these namespaces; without it one, in none",
    )
    parsed: list[str] = parser.parse_args(remove_ros_args(arguments)[1:]).cameras
    return parsed


if __name__ == "__main__":
    main()
