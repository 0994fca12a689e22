"""
Tests for the Debian package: its build, its contents, and its installation, upgrade and removal on Debian 12.

The package and the base system of the machines are cached; see L{tests.support.container}.
"""

from __future__ import annotations

import fnmatch
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from finger import __version__
from tests.support.container import Container, contents, dependencies, package, run
from tests.support.everywhere import bracketed
from tests.support.rendering import PROGRAM, templatesOf
from tests.support.tools import ROOT, need, needRoot

CLIENTS = ("curl", "finger", "netbase", "procps")
"""The Debian packages of the clients on the machines."""

ENGINE = "ada (Ada Lovelace): Working on the engine.\n"

SETTINGS = """
backend = ["local"]
ssl = true
httpsport = "systemd:https"
statusport = "systemd:status"
certificate = "/etc/finger/fullchain.pem"
privatekey = "/etc/finger/privkey.pem"
"""

UNIT_FILES = ("finger.service", "finger.socket", "finger-web.socket")

BOOKKEEPING = re.compile(
    r"/var/(log|cache)/.*|/var/lib/(apt|dpkg|systemd)/.*|/etc/(group|gshadow|passwd|shadow)-|.*/__pycache__(/.*)?"
)
"""Files that Debian's own tools write about installed packages, keep as backups, or compile."""

ASKER = r"""
import select, socket, sys

asked = 0
while not select.select([sys.stdin], [], [], 0.002)[0]:
    for host in ("127.0.0.1", "::1"):
        with socket.create_connection((host, 79)) as connection:
            connection.sendall(b"ada\r\n")
            answer = connection.makefile("rb").read()
        if b"Working on the engine." not in answer:
            sys.exit(f"query {asked} was answered with {answer!r}")
        asked += 1
        if asked == 1:
            print("asking", flush=True)
print(f"{asked} were answered")
"""
"""A program that queries the server over both families until it reads a line."""


class PackageTests(SynchronousTestCase):
    """The contents of the package."""

    def setUp(self) -> None:
        """Build the package."""
        self.package = package()

    def unpacked(self) -> Path:
        """Extract the package to a directory, and return it."""
        directory = Path(self.mktemp())
        run("dpkg-deb", "--extract", self.package, directory.resolve())
        return directory

    def test_lintian(self) -> None:
        """lintian finds no problem in the package and its source except those overridden with a reason."""
        need("lintian", "lintian")
        changes = self.package.with_suffix(".changes")
        output = run("lintian", "--fail-on", "error,warning", "--display-info", "--tag-display-limit", "0", changes)
        self.assertNotRegex(output, "(unused|mismatched)-override")
        for overrides in (ROOT / "debian").rglob("*lintian-overrides"):
            for paragraph in overrides.read_text().split("\n\n"):
                self.assertTrue(paragraph.startswith("# "), paragraph)

    def test_version(self) -> None:
        """The package has finger's version."""
        self.assertEqual(run("dpkg-deb", "--field", self.package, "Version").strip(), __version__)

    def test_source(self) -> None:
        """The source package has the source, and no generated files."""
        with tempfile.TemporaryDirectory() as temporary:
            copy = Path(temporary, "checkout")
            shutil.copytree(
                ROOT, copy, ignore=shutil.ignore_patterns("build", ".venv", "_trial_temp*"), symlinks=True
            )
            for litter in ("build/x", ".venv/x", "_trial_temp/x", "finger/__pycache__/x", ".mypy_cache/x", "dist/x"):
                (copy / litter).parent.mkdir(exist_ok=True)
                (copy / litter).write_text("litter")
            run("dpkg-source", "--build", copy, cwd=Path(temporary))
            (archive,) = Path(temporary).glob("*.tar.xz")
            names = {name.partition("/")[2] for name in run("tar", "--list", "--file", archive).splitlines()}
        self.assertTrue(
            {"debian/rules", "finger/tap.py", "docs/install.md", "tests/packaging/test_debian.py"} <= names
        )
        self.assertIn("templates/layout.html", names)
        self.assertEqual([name for name in names if name.endswith("/x")], [])

    def test_files(self) -> None:
        """All files belong to root, only root can write them, and they have the right paths."""
        files = contents(self.package)
        for name, mode in files.items():
            self.assertRegex(mode, r"^(-rw-r--r--|-rwxr-xr-x|drwxr-xr-x|lrwxrwxrwx) root/root$", name)
        for name in (
            *(f"/usr/bin/{command}" for command in ("twisted-finger", "twisted-fingerd")),
            *(f"/lib/systemd/system/{unit}" for unit in UNIT_FILES),
            *(f"/usr/share/man/{page}.gz" for page in ("man1/twisted-finger.1", "man8/twisted-fingerd.8")),
            *(f"/usr/share/man/man5/{page}.5.gz" for page in ("finger-users", "finger.toml")),
            "/usr/share/bash-completion/completions/twisted-fingerd",
            "/usr/share/zsh/vendor-completions/_twisted-finger",
            "/usr/share/fish/vendor_completions.d/twisted-fingerd.fish",
            "/usr/share/doc/twisted-finger/README.Debian",
            "/usr/share/doc/twisted-finger/examples/network.conf",
        ):
            self.assertIn(name, files)
        conffiles = run("dpkg-deb", "--info", self.package, "conffiles").split()
        self.assertEqual(conffiles, ["/etc/finger/finger.toml", "/etc/finger/users"])

    def test_templates(self) -> None:
        """A page is rendered from the templates in the package."""
        (environment,) = self.unpacked().resolve().glob("usr/lib/twisted-finger")
        (packages,) = environment.glob("lib/python3.*/site-packages")
        printed = run("env", f"PYTHONPATH={packages}", "/usr/bin/python3", "-B", "-c", PROGRAM, cwd=environment)
        self.assertEqual(templatesOf(printed), packages / "finger" / "templates")

    def test_copyright(self) -> None:
        """Each bundled library is in bundled.txt and in debian/copyright."""
        unpacked = self.unpacked()
        documents = unpacked / "usr" / "share" / "doc" / "twisted-finger"
        stanzas = re.findall(r"(?m)^Files: (.*)$", (documents / "copyright").read_text("utf-8"))
        patterns = [pattern.removesuffix("/*") for stanza in stanzas for pattern in stanza.split() if pattern != "*"]
        (packages,) = unpacked.glob("usr/lib/twisted-finger/lib/python3.*/site-packages")
        names = {path.name for path in packages.iterdir()}
        releases = {name for name in names if name.endswith(".dist-info")}
        libraries = names - releases - {"finger", "local.pth"}
        self.assertEqual({n for n in libraries if not any(fnmatch.fnmatch(n, p) for p in patterns)}, set())
        bundled = [line.split()[:2] for line in (documents / "bundled.txt").read_text().splitlines()[1:]]
        listed = {f"{re.sub('[-.]', '_', name).lower()}-{release}.dist-info" for name, release in bundled}
        self.assertEqual(listed | {f"finger-{__version__}.dist-info"}, releases)


class LifeTests(SynchronousTestCase):
    """The package, installed on a machine."""

    def setUp(self) -> None:
        """Boot a clean machine."""
        needRoot("boots a machine of its own")
        self.package = package()
        self.machine = Container(*CLIENTS, *dependencies(self.package))
        self.addCleanup(self.machine.stop)
        self.machine.run("apt-get check")
        self.machine.copy(self.package, "/root/package.deb")
        self.accounts = self.machine.run("cat /etc/passwd /etc/group")
        self.before = self.files()

    def files(self) -> set[str]:
        """Return the files on the machine, without those that its own tools write, unless they have our name."""
        found = self.machine.files() | set(self.machine.run("find /run /tmp -xdev -not -path '*/systemd/*'").split())
        return {name for name in found if "finger" in name or not BOOKKEEPING.fullmatch(name)}

    def install(self, name: str = "package.deb") -> None:
        """Install a package that was copied to the machine, and check that the service runs; if not, show its log."""
        self.machine.run(f"apt-get install --yes -o Dpkg::Options::=--force-confdef ./{name}")
        self.machine.run("systemctl is-active finger || { journalctl --no-pager --unit='finger*'; exit 1; }")

    def assertAnswers(self) -> None:
        """Check that the service answers over both families."""
        for host in ("127.0.0.1", "::1"):
            self.assertIn("Working on the engine.", self.machine.run(f"finger ada@{host}"))

    def assertReplacesNothing(self) -> None:
        """Check that the machine has nothing of the package: no file, unit, user or command."""
        names = contents(self.package)
        self.assertEqual([n for n in names if n in self.before and not n.endswith("/")], [])
        self.assertEqual([n for n in names if n.rstrip("/") in self.before and "finger" in n], [])
        for unit in UNIT_FILES:
            self.machine.run(f"systemctl cat {unit}", status=1)
        self.machine.run("getent passwd finger", status=2)
        self.machine.run("command -v twisted-finger twisted-fingerd", status=1)

    def test_life(self) -> None:
        """The package passes debian/tests; a purge leaves nothing behind; it can be installed again."""
        self.assertReplacesNothing()
        self.install()
        self.machine.copy(ROOT / "debian" / "tests" / "installed", "/root/installed")
        self.assertIn("All is well.", self.machine.run("./installed"))
        exposure = self.machine.run("systemd-analyze security --no-pager finger.service | tail -n 1")
        self.assertLessEqual(float(re.findall(r"\d+\.\d+", exposure)[0]), 1.7, exposure)
        self.assertEqual(self.machine.run("dpkg --verify twisted-finger | grep -v ' c /etc/finger/' || true"), "")

        self.machine.run("rm installed; apt-get purge --yes twisted-finger")
        self.assertEqual(self.files(), self.before)
        self.assertEqual(self.machine.run("cat /etc/passwd /etc/group"), self.accounts)
        self.assertEqual(self.machine.run("systemctl list-units --no-legend 'finger*'"), "")
        self.machine.run("systemctl list-unit-files 'finger*'", status=1)
        self.machine.run("finger ada@127.0.0.1", status=1)

        self.install()
        self.assertIn("No such user", self.machine.run("finger ada@127.0.0.1"))

    def test_upgrade(self) -> None:
        """An upgrade keeps edited files, loses no query, and starts the new release."""
        self.machine.copy(self.nextRelease(), "/root/next.deb")
        self.install()
        self.machine.run(f"echo '{ENGINE}' >> /etc/finger/users")
        self.machine.run("sed -i 's/^#hops = 1/hops = 2/' /etc/finger/finger.toml && systemctl restart finger")
        edited = self.machine.run("cat /etc/finger/users /etc/finger/finger.toml")
        process = self.process()

        asker = self.machine.start(f"exec python3 -c '{ASKER}'")
        self.addCleanup(end, asker)
        assert asker.stdout is not None
        self.assertEqual(asker.stdout.readline(), "asking\n")
        self.install("next.deb")
        self.assertAnswers()
        self.assertRegex(asker.communicate("enough\n")[0], r"^\d+ were answered\n$")

        self.assertEqual(self.machine.run("dpkg-query --show --showformat '${Version}' twisted-finger"), "9999")
        self.assertNotEqual(self.process(), process)
        self.assertEqual(self.machine.run("cat /etc/finger/users /etc/finger/finger.toml"), edited)
        self.assertIn("# Of the next release.", self.machine.run("cat /etc/finger/finger.toml.dpkg-dist"))
        self.machine.run("systemctl is-active finger.service finger.socket finger-web.socket")

    def test_reinstall(self) -> None:
        """Removal without purging keeps edited files, and a new installation uses them."""
        self.install()
        self.machine.run(f"echo '{ENGINE}' >> /etc/finger/users && systemctl reload finger")
        self.assertAnswers()
        self.machine.run("apt-get remove --yes twisted-finger")
        self.machine.run("finger ada@127.0.0.1", status=1)
        self.install()
        self.assertAnswers()

    def test_ownUser(self) -> None:
        """A user that existed before is used and kept, as are files that the administrator added."""
        self.machine.run("useradd --system --comment 'The finger service of old' --home-dir /srv finger")
        accounts = self.machine.run("cat /etc/passwd /etc/group")
        self.install()
        self.machine.run("install --mode=644 /dev/null /etc/finger/passwords")
        self.assertIn("finger", self.machine.run("ps --no-headers --format user $(pidof -x twisted-fingerd)"))
        self.machine.run("apt-get purge --yes twisted-finger")
        self.assertEqual(self.machine.run("cat /etc/passwd /etc/group"), accounts)
        self.assertEqual(self.files() - self.before, {"/etc/finger", "/etc/finger/passwords"})

    def test_readme(self) -> None:
        """The instructions of README.Debian work: drop-ins, HTTPS, sockets, and back ends of other packages."""
        self.install()
        self.machine.run("useradd --create-home ada && chmod 755 ~ada")
        self.machine.run("echo 'Engines.' > plan && install --owner=ada --mode=644 plan ~ada/.plan")
        self.copyCertificate("/etc/finger")
        self.machine.run(
            f"""set -e
            cd /usr/share/doc/twisted-finger/examples
            mkdir /etc/systemd/system/finger.service.d
            cp local.conf https.conf /etc/systemd/system/finger.service.d
            cp finger-https.socket finger-status.socket /etc/systemd/system
            echo '{SETTINGS}' >> /etc/finger/finger.toml
            systemctl enable finger-https.socket finger-status.socket
            systemctl daemon-reload
            systemctl restart finger"""
        )
        for host in ("127.0.0.1", "::1"):
            self.assertIn("Engines.", self.machine.run(f"finger ada@{host}"))
            self.assertIn("Engines.", self.machine.run(f"curl --silent --insecure https://{bracketed(host)}/ada"))
            self.assertIn(
                "finger_build_info", self.machine.run(f"curl --silent http://{bracketed(host)}:9079/metrics")
            )

        self.machine.run("sed -i 's/^webport = .*/webport = \"none\"/' /etc/finger/finger.toml")
        self.machine.run("systemctl disable --now finger-web.socket; systemctl restart finger")
        self.machine.run("curl --silent http://127.0.0.1:8000/ada", status=7)
        for action in ("stop", "start"):
            self.machine.run(f"systemctl {action} finger.service finger.socket")
        self.assertIn("Engines.", self.machine.run("finger ada@127.0.0.1"))

        theirs = ROOT / "tests" / "thirdparty" / "vending" / "finger" / "plugins"
        for module in theirs.glob("*.py"):
            self.machine.copy(module, f"/usr/local/lib/twisted-finger/finger/plugins/{module.name}")
        self.assertIn("vending:ITEM=COUNT", self.machine.run("twisted-fingerd --help-backends"))

    def copyCertificate(self, directory: str) -> None:
        """Make a certificate that the service can read."""
        openssl = need("openssl", "openssl")
        made = Path(self.mktemp()).resolve()
        made.mkdir()
        files = ("-keyout", made / "privkey.pem", "-out", made / "fullchain.pem")
        run(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", *files)
        for file in made.iterdir():
            self.machine.copy(file, f"{directory}/{file.name}")
        self.machine.run(f"chgrp finger {directory}/*.pem && chmod 640 {directory}/*.pem")

    def nextRelease(self) -> Path:
        """Make a later release of the package, with another finger.toml."""
        directory = Path(self.mktemp())
        run("dpkg-deb", "--raw-extract", self.package, directory.resolve())
        control, configuration = directory / "DEBIAN" / "control", directory / "etc" / "finger" / "finger.toml"
        control.write_text(re.sub(r"(?m)^Version: .*$", "Version: 9999", control.read_text()))
        configuration.write_text(configuration.read_text() + "# Of the next release.\n")
        target = directory.with_suffix(".deb").resolve()
        run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", directory.resolve(), target)
        return target

    def process(self) -> str:
        """Return the id of the service's process."""
        return self.machine.run("systemctl show --property=MainPID --value finger.service")


def end(process: subprocess.Popen[str]) -> None:
    """Kill a process if it still runs."""
    if process.poll() is None:
        process.kill()
    process.communicate()
