"""
Temporary Debian 12 machines, booted with systemd, with no network except loopback.

C{build/debian} of the checkout caches what takes long to make: the Debian package, by the hash of its sources, and
the base systems of the machines, by their packages.  It is always safe to remove.  Processes that use it at the same
time wait for each other.
"""

from __future__ import annotations

import fcntl
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Self

from tests.support.tools import ROOT, need, needRoot

STORE = ROOT / "build" / "debian"
SUITE = "bookworm"

SYSTEM = ("dbus", "systemd", "systemd-sysv")
"""The packages that are needed to boot, besides Debian's minimum."""

INSTALL = ("apt-get", "-o", "Acquire::Languages=none", "--quiet", "--yes", "--no-install-recommends")
"""The command that installs packages in a system that is not booted."""

COMMANDS_END = 300.0
"""The time limit of a command, in seconds.  Only a command that hangs takes so long."""

ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SYSTEMD_COLORS": "0",
    "SYSTEMD_PAGER": "",
    "TERM": "dumb",
}
"""The environment of root's shell on a machine, without anything of this machine's environment."""


def finish(*command: str | Path, cwd: Path = ROOT, status: int | None = 0) -> subprocess.CompletedProcess[str]:
    """
    Run a program on this machine to its end.  Its standard error becomes part of its standard output.

    @param status: the expected exit status; L{None} for any.
    """
    done = subprocess.run(
        command,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=COMMANDS_END,
        check=False,
    )
    if status not in (None, done.returncode):
        raise AssertionError(f"{shlex.join(map(str, command))} exited with {done.returncode}:\n{done.stdout}")
    return done


def run(*command: str | Path, cwd: Path = ROOT, status: int = 0) -> str:
    """Run a program on this machine to its end, and return its output; see L{finish}."""
    return finish(*command, cwd=cwd, status=status).stdout


@cache
def package() -> Path:
    """Build the Debian package if necessary, and return its path."""
    need("dpkg-buildpackage", "dpkg-dev")
    need("dh", "debhelper")
    with _alone("package"):
        run("sh", "debian/build.sh", STORE)
    (package,) = STORE.glob("*.deb")
    return package


def contents(package: Path) -> dict[str, str]:
    """Return the files of a package, each with its mode and owner.  Names of directories end in a slash."""
    listed = (line.split(maxsplit=5) for line in run("dpkg-deb", "--contents", package).splitlines())
    return {line[5].partition(" -> ")[0].lstrip("."): f"{line[0]} {line[1]}" for line in listed}


def dependencies(package: Path) -> set[str]:
    """Return the names of a package's dependencies: of alternatives, the first."""
    alternatives = run("dpkg-deb", "--field", package, "Depends").split(",")
    return {alternative.split("|")[0].split("(")[0].strip().split(":")[0] for alternative in alternatives}


def mirror() -> list[str]:
    """Return the URL of this machine's package mirror for the suite; empty if it has none."""
    wanted = "$(CODENAME) $(COMPONENT) $(REPO_URI)"
    for target in run("apt-get", "indextargets", "--format", wanted, "Created-By: Packages").splitlines():
        codename, component, uri = target.split()
        if (codename, component) == (SUITE, "main"):
            return [uri]
    return []


def system(*packages: str) -> Path:
    """
    Make an archive of a clean Debian 12 if necessary, and return its path.  A system with packages is made from the
    one without, because a bootstrap takes ten times as long as the installation of packages.

    @param packages: the packages to install, with their dependencies.  Machines have no network to install more.
    """
    included = sorted({*SYSTEM, *packages})
    name = sha256(" ".join([SUITE, *included]).encode()).hexdigest()[:16]
    archive = STORE / f"{SUITE}-{name}.tar"
    base = system() if packages else None
    with _alone(archive.stem):
        if not archive.exists():
            # The archive is written beside its final place and then renamed, so that it is never incomplete.
            with tempfile.TemporaryDirectory() as temporary, tempfile.TemporaryDirectory(dir=STORE) as beside:
                root, new = Path(temporary, "root"), Path(beside, "new.tar")
                if base is None:
                    need("debootstrap", "debootstrap")
                    run("debootstrap", "--variant=minbase", f"--include={','.join(included)}", SUITE, root, *mirror())
                else:
                    root.mkdir()
                    unpack(base, root)
                    _install(root, packages)
                run("tar", "--create", "--file", new, "--numeric-owner", "--xattrs", "--directory", root, ".")
                new.rename(archive)
    return archive


def unpack(archive: Path, root: Path) -> None:
    """Unpack an archive of a system to a root directory."""
    run("tar", "--extract", "--file", archive, "--numeric-owner", "--xattrs", "--directory", root)


def _install(root: Path, packages: tuple[str, ...]) -> None:
    """Install packages in a system that is not booted, without starting their services."""
    policy = root / "usr" / "sbin" / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    variables = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    for command in (("update",), ("install", *packages), ("clean",)):
        run("chroot", root, "env", *variables, *INSTALL, *command)
    policy.unlink()


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Let only one process at a time make a cached file."""
    STORE.mkdir(parents=True, exist_ok=True)
    with open(STORE / f"{name}.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Container:
    """
    A temporary machine.  The constructor boots it, and C{stop} removes it.

    @param packages: its Debian packages besides the minimum.
    @ivar root: its root directory.
    """

    def __init__(self, *packages: str) -> None:
        needRoot("boots a machine of its own")
        nspawn = need("systemd-nspawn", "systemd-container")
        archive = system(*packages)
        self._directory = Path(tempfile.mkdtemp(prefix="finger-container-"))
        self.root = self._directory / "root"
        self._console = open(self._directory / "console", "wb")
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._init = 0
        try:
            self.root.mkdir()
            unpack(archive, self.root)
            self.path("/etc/hostname").write_text("debian\n")
            self.path("/etc/hosts").write_text("127.0.0.1 localhost debian\n::1 localhost debian\n")
            self._nspawn = self._boot(nspawn)
            self._waitForInit()
            self.run("systemctl is-system-running --wait || { systemctl --failed; journalctl -p err; exit 1; }")
        except BaseException:
            self.stop()
            raise

    def _boot(self, nspawn: str) -> subprocess.Popen[bytes]:
        """Start the machine.  It is stopped if the tests are killed."""
        bare = ("--register=no", "--keep-unit", "--private-network", "--resolv-conf=off", "--timezone=off")
        return subprocess.Popen(
            [
                *("setpriv", "--pdeathsig=TERM", nspawn, "--quiet", *bare, "--link-journal=no", "--console=pipe"),
                *(f"--machine=finger-{token_hex(4)}", f"--directory={self.root}", "--boot"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=self._console,
        )

    def _waitForInit(self) -> None:
        """Wait until the machine's systemd accepts commands."""
        assert self._nspawn is not None
        deadline = time.monotonic() + COMMANDS_END
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        while self._nspawn.poll() is None and time.monotonic() < deadline:
            for child in children.read_text().split():
                self._init = int(child)
                ready = self._entering("test -S /run/dbus/system_bus_socket")
                if finish(*ready, status=None).returncode == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the machine did not boot:\n{self.console}")

    @property
    def console(self) -> str:
        """The output on the machine's console."""
        return (self._directory / "console").read_text("utf-8", "replace")

    def _entering(self, command: str) -> list[str]:
        """Return the command line that runs a command on the machine, in root's shell."""
        variables = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        shell = ("env", "--chdir=/root", "-i", *variables, "bash", "-c", command)
        return ["nsenter", f"--target={self._init}", "--all", *shell]

    def run(self, command: str, *, status: int = 0) -> str:
        """
        Run a command on the machine, in root's shell and home, and return its output.

        @param status: the expected exit status.
        """
        return run(*self._entering(command), status=status)

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start a command on the machine, with pipes for its input and output.  The caller must end it."""
        return subprocess.Popen(
            self._entering(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def copy(self, source: Path, target: str) -> None:
        """Copy a file to the machine."""
        path = self.path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path)

    def path(self, name: str) -> Path:
        """Return the path of the machine's file below L{root}.  Mounts such as C{/run} are not visible there."""
        return self.root / name.lstrip("/")

    def files(self) -> set[str]:
        """Return all files and directories of the machine, without those of mounted file systems."""
        return set(self.run("find / -xdev -print").splitlines())

    def stop(self) -> None:
        """Stop the machine, and remove it."""
        if self._nspawn is not None and self._nspawn.poll() is None:
            self._nspawn.send_signal(signal.SIGTERM)
            try:
                self._nspawn.wait(COMMANDS_END)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
        self._console.close()
        shutil.rmtree(self._directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.stop()
