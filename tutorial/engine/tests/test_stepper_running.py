"""The stepper where it runs stages: ports, run, and the whole session of a new user."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from ..harness import free_offset
from ..stages import TUTORIAL
from ..stepper import running
from ..stepper.copies import usersFile
from .session import STAGES, Session

HOST = "127.0.0.1"
PATIENCE = 30.0  # seconds


class RunTests(Session):
    """run, up to the point where it starts."""

    def test_says_how_to_run_it_by_hand(self) -> None:
        self.step("start", "14")
        environment = usersFile(self.folder / "my/finger14.tac") | {"FINGER_PORT_OFFSET": "1000"}
        typed = running.byHand(STAGES["14"], self.folder / "my/finger14.tac", environment)
        self.assertIn("FINGER_USERS=my/users FINGER_PORT_OFFSET=1000 ", typed)
        self.assertTrue(typed.endswith("twistd -ny my/finger14.tac"), typed)

    def test_says_what_to_type_elsewhere(self) -> None:
        said = "\n".join(running.whatToType(STAGES["22"], 1000) + running.remarks(STAGES["22"], STAGES["22"].path))
        for part in (
            "2079  finger",
            "http://127.0.0.1:9000/moshez",
            "https://127.0.0.1:2443/",
            "9889  pb",
            "IRC server",
        ):
            self.assertIn(part, said)

    def test_client_gets_its_server(self) -> None:
        self.assertIn("\nHappy and well\n", self.step("run", "XR"))


class PortTests(Session):
    """A taken port is named, and another offered."""

    def taken(self) -> int:
        """The offset at which another program has the finger port."""
        offset = free_offset({"finger": 1079})
        other = socket.create_server((HOST, 1079 + offset))
        self.addCleanup(other.close)
        return offset

    def test_taken_port(self) -> None:
        offset = self.taken()
        for command in "run", "try", "check":
            said = self.refused(command, "07", "--port-offset", str(offset))
            self.assertIn(f"Port {1079 + offset} (finger) is taken", said)
            offered = re.search(r"--port-offset (\d+)", said)
            assert offered is not None
            self.assertIn(f"Free: {1079 + int(offered[1])}.", said)

    def test_offset_from_the_environment(self) -> None:
        self.setVariable("FINGER_PORT_OFFSET", str(self.taken()))
        self.assertIn("is taken", self.refused("run", "07"))

    def test_offset_that_makes_no_sense(self) -> None:
        for offset in "x", "1.5", "65536":
            self.assertIn("port offset", self.refused("run", "07", "--port-offset", offset))
        self.assertIn("higher than 65535", self.refused("run", "07", "--port-offset", "65000"))


class ProcessTests(Session):
    """As a program of its own, in an environment that knows nothing of us."""

    def setUp(self) -> None:
        super().setUp()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(TUTORIAL.parent),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def type(self, *words: str, status: int = 0) -> str:
        command = [sys.executable, "-m", "tutorial", *words]
        result = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=PATIENCE * 2)
        self.assertNotIn("Traceback", result.stderr)
        self.assertEqual(result.returncode, status, result.stdout + result.stderr)
        return result.stdout + result.stderr

    def test_session_of_a_new_user(self) -> None:
        self.assertIn("show 01", self.type())
        self.assertIn("07    * Users", self.type("list"))
        self.type("start", "07")
        self.changeCopy("Happy and well", "On holiday")
        self.assertIn(r"got b'On holiday\r\n'", self.type("check", "07", status=1))
        self.changeCopy('"On holiday"}', '"Happy and well", "me": "Learning Twisted"}')
        self.assertIn("Learning Twisted\\r\\n", self.type("try", "07", "me"))
        self.assertIn("All 12 promises kept.", self.type("check", "07"))
        self.assertIn("Now stage 07a", self.type("next"))
        self.assertRegex(self.type("list"), r"(?m)^ok   07 .*\n->   07a ")

    def start(self, *words: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tutorial", *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def runUntil(self, signalNumber: int, *words: str) -> str:
        """Run stage 07 until its port answers, then send the stepper alone a signal."""
        offset = free_offset({"finger": 1079})
        process = self.start("run", "07", "--port-offset", str(offset), *words)
        ends = time.monotonic() + PATIENCE
        while not listens(1079 + offset):
            self.assertLess(time.monotonic(), ends, "it never listened")
            time.sleep(0.05)
        self.assertIn("Happy and well", self.type("ask", "moshez", "--port", str(1079 + offset)))
        process.send_signal(signalNumber)
        said = process.communicate(timeout=PATIENCE)[0]
        self.assertEqual(process.returncode, 0, said)
        self.assertNotIn("Traceback", said)
        self.assertFalse(listens(1079 + offset))
        return said

    def test_run_ends_on_interrupt_and_on_terminate(self) -> None:
        for number in signal.SIGINT, signal.SIGTERM:
            said = self.runUntil(number)
            self.assertIn("In another terminal:", said)
            self.assertIn("Ended.", said)

    def test_run_of_a_file_that_ends(self) -> None:
        Path("short.py").write_text("print('hello')\nraise SystemExit(3)\n")
        offset = str(free_offset({"finger": 1079}))
        said = self.type("run", "07", "short.py", "--port-offset", offset, status=1)
        self.assertIn("short.py ended by itself, with exit code 3", said)

    def test_reader_who_has_seen_enough(self) -> None:
        process = self.start("show", "22")
        assert process.stdout is not None
        process.stdout.close()
        self.assertEqual(process.wait(PATIENCE), 0)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
