"""
Debian 12 machines of one's own: clean, booted with systemd, no network but their loopback, gone afterwards.

What takes long to make is kept in C{build/debian} of the checkout, so that it is made once for all tests and runs:
the package, by the hash of what it is made from, and the systems that machines start from, by what is in them.  It is
always safe to remove.  Tests that run at the same time in several processes wait for each other there.
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
"""What is needed to boot, beside what Debian calls its minimum."""

INSTALL = ("apt-get", "-o", "Acquire::Languages=none", "--quiet", "--yes", "--no-install-recommends")
"""What installs packages in a system that does not run."""

COMMANDS_END = 300.0
"""How long a command may take at most, in seconds: no test waits for it, unless something hangs."""

ENVIRONMENT = {
    "DEBIAN_FRONTEND": "noninteractive",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "SYSTEMD_COLORS": "0",
    "SYSTEMD_PAGER": "",
    "TERM": "dumb",
}
"""What root's shell there starts with.  Nothing of this machine's environment gets in."""


def finish(*command: str | Path, cwd: Path = ROOT, status: int | None = 0) -> subprocess.CompletedProcess[str]:
    """
    Run a program of this machine's to its end.  What it says, on both streams, is its standard output.

    @param status: the exit status it must end with; L{None} for any.
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
        raise AssertionError(f"{shlex.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}")
    return done


def run(*command: str | Path, cwd: Path = ROOT, status: int = 0) -> str:
    """Run a program of this machine's to its end, and take what it says; see L{finish}."""
    return finish(*command, cwd=cwd, status=status).stdout


@cache
def package() -> Path:
    """Build the Debian package, unless that is done, and tell where it is."""
    need("dpkg-buildpackage", "dpkg-dev")
    need("dh", "debhelper")
    with _alone("package"):
        run("sh", "debian/build.sh", STORE)
    (package,) = STORE.glob("*.deb")
    return package


def contents(package: Path) -> dict[str, str]:
    """The files of a package, each with its mode and owner.  Names of directories end in a slash."""
    listed = (line.split(maxsplit=5) for line in run("dpkg-deb", "--contents", package).splitlines())
    return {line[5].partition(" -> ")[0].lstrip("."): f"{line[0]} {line[1]}" for line in listed}


def dependencies(package: Path) -> set[str]:
    """What a package says that it cannot be without: of alternatives, the first."""
    alternatives = run("dpkg-deb", "--field", package, "Depends").split(",")
    return {alternative.split("|")[0].split("(")[0].strip().split(":")[0] for alternative in alternatives}


def mirror() -> list[str]:
    """Where this machine takes its packages of the suite from; nothing, if it is a machine of another kind."""
    wanted = "$(CODENAME) $(COMPONENT) $(REPO_URI)"
    for target in run("apt-get", "indextargets", "--format", wanted, "Created-By: Packages").splitlines():
        codename, component, uri = target.split()
        if (codename, component) == (SUITE, "main"):
            return [uri]
    return []


def system(*packages: str) -> Path:
    """
    Make an archive of a clean Debian 12, unless there is one, and tell where it is.  With packages it is made of the
    one without: a bootstrap takes ten times as long as what is installed then.

    @param packages: what is installed in it, with all it depends on.  Machines have no network to take more from.
    """
    included = sorted({*SYSTEM, *packages})
    name = sha256(" ".join([SUITE, *included]).encode()).hexdigest()[:16]
    archive = STORE / f"{SUITE}-{name}.tar"
    base = system() if packages else None
    with _alone(archive.stem):
        if not archive.exists():
            # What becomes the archive is beside it, so that there is all of it or nothing.
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
    """Unpack a system."""
    run("tar", "--extract", "--file", archive, "--numeric-owner", "--xattrs", "--directory", root)


def _install(root: Path, packages: tuple[str, ...]) -> None:
    """Install packages in a system that does not run, and start nothing of them."""
    policy = root / "usr" / "sbin" / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    variables = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    for command in (("update",), ("install", *packages), ("clean",)):
        run("chroot", root, "env", *variables, *INSTALL, *command)
    policy.unlink()


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Let one process at a time make something that is kept."""
    STORE.mkdir(parents=True, exist_ok=True)
    with open(STORE / f"{name}.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Container:
    """
    A machine, which is booted as it is made, and of which nothing is left after C{stop}.

    @param packages: the Debian packages in it beside the minimum.
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
        """Start it.  If these tests are killed, it is switched off."""
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
        """Wait until its systemd can be spoken to."""
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
        """What it has written on its console."""
        return (self._directory / "console").read_text("utf-8", "replace")

    def _entering(self, command: str) -> list[str]:
        """What enters it and has root's shell run a command there."""
        variables = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
        shell = ("env", "--chdir=/root", "-i", *variables, "bash", "-c", command)
        return ["nsenter", f"--target={self._init}", "--all", *shell]

    def run(self, command: str, *, status: int = 0) -> str:
        """
        Run a command by root's shell in it, in root's home, and take what it says.

        @param status: the exit status it must end with.
        """
        return run(*self._entering(command), status=status)

    def start(self, command: str) -> subprocess.Popen[str]:
        """Start a command there, to be written to and read from; whoever starts it ends it."""
        return subprocess.Popen(
            self._entering(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def copy(self, source: Path, target: str) -> None:
        """Copy a file into it."""
        path = self.path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, path)

    def path(self, name: str) -> Path:
        """Where a file of its root's is here.  What is mounted there, as C{/run} and C{/tmp} are, is not seen."""
        return self.root / name.lstrip("/")

    def files(self) -> set[str]:
        """All files and directories there are in it, but those of mounted file systems."""
        return set(self.run("find / -xdev -print").splitlines())

    def stop(self) -> None:
        """Switch it off, and remove it."""
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
