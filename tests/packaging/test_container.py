"""
Tests for the container image: the Containerfile is linted and built, and the image runs without privileges.

The tests build it on a plain Debian 12, because its own base image needs a registry.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from finger import __version__
from tests.support.container import finish, system
from tests.support.rendering import PROGRAM, templatesOf
from tests.support.tools import DEADLINE, FAMILIES, ROOT, need, needRoot, venv

CONTAINERFILE = ROOT / "Containerfile"

PACKAGES = ("ca-certificates", "python3", "python3-venv")
"""The Debian packages of the base image; Python's official images have the same."""

BASE = "localhost/python:debian"

USER = 10079
"""The user and group of the service in the image."""

SHELLS = ("/usr/bin/bash", "/usr/bin/dash")

USERS = "moshez: Happy and well\nzoë (Zoë Exemple): À bientôt\n"


class Podman:
    """
    podman with its own images and containers in a temporary directory.

    It needs no systemd and no network of its own, so that it can run in a container itself.
    """

    def __init__(self) -> None:
        needRoot("makes containers")
        self._podman = need("podman", "podman")
        need("runc", "runc")
        self._directory = Path(tempfile.mkdtemp(prefix="finger-podman-"))
        self._driver = "overlay"  # It copies nothing, but not every file system supports it.
        if self("info", status=None).returncode:
            shutil.rmtree(self._directory / "storage", ignore_errors=True)
            self._driver = "vfs"

    def __call__(self, *arguments: str | Path, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        """
        Run a podman command to its end.

        @param status: the expected exit status; L{None} for any.
        """
        storage, state = self._directory / "storage", self._directory / "state"
        command = [self._podman, f"--root={storage}", f"--runroot={state}", f"--storage-driver={self._driver}"]
        command += ["--runtime=runc", "--cgroup-manager=cgroupfs", "--events-backend=file"]
        return finish(*command, *arguments, status=status)

    def stop(self) -> None:
        """Stop and remove all containers and images."""
        self("rm", "--all", "--force", status=None)
        shutil.rmtree(self._directory, ignore_errors=True)


@cache
def podman() -> Podman:
    """Return the only instance, with the image C{finger}.  trial has no set-up for a module."""
    made = Podman()
    atexit.register(made.stop)
    made("import", system(*PACKAGES), BASE)
    made(
        *("build", "--format=docker", "--layers=false", f"--build-arg=BASE={BASE}", "--tag=finger"),
        # The build uses this machine's network and certificate authorities for the package registry.
        *("--isolation=chroot", "--network=host", "--volume=/etc/ssl/certs:/etc/ssl/certs:ro"),
        ROOT,
    )
    return made


def inspect(kind: str, name: str) -> Any:
    """Return podman's description of an image or a container."""
    return json.loads(podman()(kind, "inspect", name).stdout)[0]


class Container:
    """
    A container of the image, without a network, capabilities, a shell, or a writable place.

    @param options: options of C{podman run}.
    @param arguments: arguments of the service.
    """

    def __init__(self, *options: str, arguments: tuple[str, ...] = ()) -> None:
        noShells = [f"--volume=/dev/null:{shell}:ro" for shell in SHELLS]
        self.name = podman()(
            *("run", "--detach", "--network=none", "--read-only", "--read-only-tmpfs=false", "--cap-drop=all"),
            *("--security-opt=no-new-privileges", "--health-interval=disable"),
            *("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"),
            *(*noShells, *options, "finger", *arguments),
        ).stdout.split()[-1]
        self.waitFor("finger is ready")

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log: one JSON object per line."""
        return [json.loads(line) for line in podman()("logs", self.name).stdout.splitlines()]

    def waitFor(self, message: str) -> None:
        """Wait for a message in the log."""
        deadline = time.monotonic() + DEADLINE
        while not any(message in entry["message"] for entry in self.log):
            if time.monotonic() > deadline or not self.state["Running"]:
                raise AssertionError(f"the service never logged {message!r}: {podman()('logs', self.name).stdout}")
            time.sleep(0.05)

    @property
    def state(self) -> Any:
        """The state of the container, as podman describes it."""
        return inspect("container", self.name)["State"]

    def run(self, *command: str) -> str:
        """Run a command in the container, and return its output."""
        return podman()("exec", self.name, *command).stdout

    def isHealthy(self) -> bool:
        """Run the health check, and return whether it succeeds."""
        return podman()("healthcheck", "run", self.name, status=None).returncode == 0

    def stop(self) -> None:
        """Stop and remove the container."""
        podman()("rm", "--force", self.name)


class FileTests(SynchronousTestCase):
    """The files that the image is built from."""

    def test_lint(self) -> None:
        """hadolint finds no problem in the Containerfile and its shell commands."""
        hadolint = Path(venv("hadolint"))
        if not hadolint.exists() and not os.environ.get("FINGER_NO_SKIP"):
            raise SkipTest("the extra 'test' installs hadolint only for Linux on x86-64")
        done = subprocess.run([hadolint, CONTAINERFILE], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_ignored(self) -> None:
        """Docker and podman ignore the same files: all but those named, which exist."""
        theirs, ours = (Path(ROOT, name).read_text("utf-8") for name in (".dockerignore", ".containerignore"))
        self.assertEqual(theirs.splitlines()[1:], ours.splitlines()[1:])
        lines = ours.splitlines()
        self.assertEqual(lines[1], "*")
        for line in lines:
            if line.startswith("!"):
                self.assertTrue(Path(ROOT, line[1:]).exists(), line)


class ImageTests(SynchronousTestCase):
    """The metadata of the image."""

    def test_configuration(self) -> None:
        """The image has a user, an entry point, ports, a stop signal, a health check and labels."""
        image = inspect("image", "finger")
        configuration = image["Config"]
        self.assertEqual(configuration["User"], f"{USER}:{USER}")
        self.assertEqual(configuration["Entrypoint"], ["twisted-fingerd"])
        self.assertNotIn("Cmd", configuration)
        self.assertEqual(set(configuration["ExposedPorts"]), {"1079/tcp", "8000/tcp", "8443/tcp"})
        self.assertEqual(configuration["StopSignal"], "SIGTERM")
        self.assertEqual(image["Healthcheck"]["Test"][:2], ["CMD", "twisted-finger"])
        labels = {name.rpartition(".")[2]: value for name, value in image["Labels"].items()}
        self.assertEqual(labels["version"], __version__)
        self.assertEqual(labels["name"], BASE)


class RunTests(SynchronousTestCase):
    """The running container."""

    def directory(self) -> Path:
        """Make a directory to mount, for the time of the test."""
        directory = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, directory)
        directory.chmod(0o755)
        return directory

    def etc(self, users: str) -> Path:
        """Make a directory to mount at C{/etc/finger}, with users."""
        directory = self.directory()
        shutil.copy(ROOT / "etc" / "finger.toml", directory)
        (directory / "users").write_text(users, "utf-8")
        return directory

    def container(self, *options: str, arguments: tuple[str, ...] = ()) -> Container:
        """Run a container for the time of the test."""
        container = Container(*options, arguments=arguments)
        self.addCleanup(container.stop)
        return container

    def test_answers(self) -> None:
        """
        With the packaged configuration, the service answers over both families, runs as its own user without
        capabilities, is healthy, writes only its log, and stops on SIGTERM.
        """
        container = self.container(f"--volume={self.etc(USERS)}:/etc/finger:ro")
        for host in FAMILIES.values():
            answer = container.run("twisted-finger", "-p", "1079", f"moshez@{host}")
            self.assertEqual(answer, f"[{host}]\nHappy and well\n")
        page = "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:8000/moshez').read().decode())"
        self.assertIn("Happy and well", container.run("python", "-c", page))
        self.assertTrue(container.isHealthy())
        self.assertEqual(identity(container.state["Pid"]), {"Uid": {USER}, "Gid": {USER}, "CapEff": {0}})
        self.assertEqual(podman()("diff", container.name).stdout.split(), [])
        asked = [entry["message"].split()[2:4] for entry in container.log if entry["message"].startswith("finger 1")]
        self.assertIn(["'healthcheck'", "NoSuchUser"], asked)
        self.assertEqual([entry for entry in container.log if "plugin cache" in entry["message"]], [])
        podman()("stop", container.name)
        self.assertEqual(container.state["ExitCode"], 0)
        self.assertIn("Server Shut Down.", container.log[-1]["message"])

    def test_templates(self) -> None:
        """A page is rendered from the templates in the image."""
        templates = templatesOf(self.container().run("python", "-c", PROGRAM))
        self.assertTrue(templates.match("/opt/finger/lib/python3.*/site-packages/finger/templates"), templates)

    def test_reload(self) -> None:
        """SIGHUP makes the service read the users again."""
        etc = self.etc(USERS)
        container = self.container(f"--volume={etc}:/etc/finger:ro")
        (etc / "new").write_text("moshez: On holiday\n", "utf-8")
        (etc / "new").rename(etc / "users")
        podman()("kill", "--signal=HUP", container.name)
        deadline = time.monotonic() + DEADLINE
        while container.run("twisted-finger", "-p", "1079", "moshez") != "On holiday\n":
            self.assertLess(time.monotonic(), deadline, "the service never read the users again")

    def test_state(self) -> None:
        """Statuses that are set are stored in the mounted directory."""
        state = self.directory()
        os.chown(state, USER, USER)
        arguments = ("--backend=memory:/var/lib/finger/users.json", "--setport=1080")
        container = self.container(f"--volume={state}:/var/lib/finger", arguments=arguments)
        client = "from finger.client.setstatus import setStatus; print(setStatus(1080, 'moshez', 'away').text)"
        self.assertEqual(container.run("python", "-c", client), "Status of moshez is set\n")
        self.assertEqual(json.loads((state / "users.json").read_text()), {"moshez": "away"})
        self.assertEqual(container.run("twisted-finger", "-p", "1079", "moshez"), "away\n")

    def test_hangs(self) -> None:
        """A hanging service is unhealthy, and healthy again when it continues."""
        container = self.container()
        pid = container.state["Pid"]
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(os.kill, pid, signal.SIGCONT)
        self.assertFalse(container.isHealthy())
        os.kill(pid, signal.SIGCONT)
        self.assertTrue(container.isHealthy())

    def test_gone(self) -> None:
        """A service that does not answer finger is unhealthy."""
        self.assertFalse(self.container("--env=FINGER_FINGERPORT=none").isHealthy())

    def test_arguments(self) -> None:
        """Arguments after the image's name are passed to the service."""
        limits = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
        options = ("--rm", "--network=none", "--read-only", "--health-interval=disable")
        printed = podman()("run", *options, *limits, "finger", "--no-list", "--print-config").stdout
        self.assertIn("no-list = true  # --no-list\n", printed)
        self.assertIn('fingerport = ["1079"]  # FINGER_FINGERPORT\n', printed)
        self.assertIn('file = "/etc/finger/users"  # /etc/finger/finger.toml\n', printed)

    def test_compiled(self) -> None:
        """All modules of the service and its health check have byte code in the image."""
        imported = "import finger.__main__, finger.tap, twisted.internet.epollreactor, sys"
        missing = "[m for m in sys.modules.values() if getattr(m, '__cached__', 0) and not exists(m.__cached__)]"
        code = f"{imported}; from os.path import exists; print({missing})"
        self.assertEqual(self.container().run("python", "-c", code), "[]\n")


def identity(pid: int) -> dict[str, set[int]]:
    """Return the users, groups and capabilities of a process of this machine."""
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    ids = {name: {int(number) for number in status[name].split()} for name in ("Uid", "Gid")}
    return {**ids, "CapEff": {int(status["CapEff"], 16)}}
