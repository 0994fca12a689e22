"""Tests for the systemd units in C{etc/systemd} and the drop-ins in C{examples} there, as systemd reads them."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from collections import defaultdict
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from finger.config.model import Config
from finger.plugins.discovery import findAdapters
from finger.tap import Options
from tests.support.tools import ROOT, need, venv

UNITS = ROOT / "etc" / "systemd"
EXAMPLES = UNITS / "examples"
SERVICE = UNITS / "finger.service"
SOCKETS = {
    "finger": UNITS / "finger.socket",
    "web": UNITS / "finger-web.socket",
    "https": EXAMPLES / "finger-https.socket",
    "status": EXAMPLES / "finger-status.socket",
}
DROP_INS = sorted(EXAMPLES.glob("*.conf"))

DAEMON = "/usr/bin/twisted-fingerd"
MOST_EXPOSED = 17
"""The limit for the exposure from C{systemd-analyze security}, in tenths: from 0, unexposed, to 100."""


def read(path: Path) -> dict[str, list[str]]:
    """Return the settings of all sections of a unit, each with all its values."""
    settings = defaultdict(list)
    for line in path.read_text("utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings[key].append(value)
    return dict(settings)


class AnalyzeTests(SynchronousTestCase):
    """Checks by C{systemd-analyze}, from Debian's package systemd."""

    def setUp(self) -> None:
        """Copy the units to a directory like /etc/systemd/system, with the daemon of this environment."""
        self.analyze = need("systemd-analyze", "systemd")
        self.place = Path(self.mktemp()).absolute()
        self.place.mkdir()
        daemon = venv("twisted-fingerd")
        for path in (SERVICE, *SOCKETS.values()):
            text = path.read_text("utf-8")
            (self.place / path.name).write_text(text.replace(DAEMON, daemon))
        (self.place / "finger.service.d").mkdir()

    def dropIn(self, path: Path) -> None:
        """Install a drop-in in the service's directory."""
        (self.place / "finger.service.d" / path.name).write_text(path.read_text("utf-8"))

    def run_(self, *arguments: str, check: bool = True) -> str:
        """Return the output of C{systemd-analyze}."""
        done = subprocess.run(
            [self.analyze, "--no-pager", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check:
            self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def exposed(self) -> dict[str, float]:
        """Return the exposure of the service by setting.  Fail if the total is above the limit."""
        unit = str(self.place / "finger.service")
        self.run_("security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit)
        rows = json.loads(self.run_("security", "--offline=true", "--json=short", unit))
        return {row["json_field"]: float(row["exposure"] or 0) for row in rows}

    def verify(self) -> None:
        """Check that systemd reports no problem with the units."""
        units = [str(self.place / path.name) for path in (SERVICE, *SOCKETS.values())]
        self.assertEqual(self.run_("verify", "--man=no", *units), "")

    def test_verify(self) -> None:
        """The units are valid, and an invalid setting is reported."""
        self.verify()
        with open(self.place / "finger.service", "a") as file:
            file.write("Nonsense=yes\n")
        self.assertIn("Nonsense", self.run_("verify", "--man=no", str(self.place / "finger.service"), check=False))

    def test_security(self) -> None:
        """The service is hardened."""
        exposed = self.exposed()
        for name in ("PrivateNetwork", "ProtectHome", "NoNewPrivileges", "MemoryDenyWriteExecute", "IPAddressDeny"):
            self.assertEqual(exposed[name], 0, name)

    def test_dropIns(self) -> None:
        """The service is hardened with each drop-in, and the units are valid with all of them."""
        before = self.exposed()
        for path in DROP_INS:
            self.dropIn(path)
            self.verify()
            self.assertNotEqual(self.exposed(), before, path.name)
            (self.place / "finger.service.d" / path.name).unlink()
        for path in DROP_INS:
            self.dropIn(path)
        self.verify()


class AgreementTests(SynchronousTestCase):
    """The units agree with each other and with the options."""

    def test_sockets(self) -> None:
        """Each socket unit has one socket per family, the option's default port, and the name used elsewhere."""
        table = findAdapters().table.settings
        for name, path in SOCKETS.items():
            settings = read(path)
            (port,) = table[f"{name}port"].initial if name != "status" else ("9079",)
            v4, v6 = ("127.0.0.1", "[::1]") if name == "status" else ("0.0.0.0", "[::]")
            self.assertEqual(settings["ListenStream"], [f"{v4}:{port}", f"{v6}:{port}"])
            self.assertEqual(settings["BindIPv6Only"], ["ipv6-only"])
            self.assertEqual(settings["FileDescriptorName"], [name])
            self.assertGreaterEqual(int(settings["Backlog"][0]), 511)
            self.assertEqual(settings.get("Service", [f"{path.stem}.service"]), ["finger.service"])
            self.assertEqual(settings["WantedBy"], ["sockets.target finger.service"])
            self.assertNotIn("Accept", settings)
            self.assertIn(f'"systemd:{name}"', path.read_text("utf-8"))

    def test_configuration(self) -> None:
        """The packaged configuration uses the sockets that are enabled with the service."""
        configured = tomllib.loads((ROOT / "etc" / "finger.toml").read_text("utf-8"))
        enabled = read(SERVICE)["Also"][0].split()
        self.assertEqual(enabled, ["finger.socket", "finger-web.socket"])
        for option, name in (("fingerport", "finger"), ("webport", "web")):
            self.assertIn(configured[option], (f"systemd:{name}", [f"systemd:{name}"]))
            self.assertIn(SOCKETS[name].name, enabled)

    def test_commands(self) -> None:
        """The configuration is checked before a start and a reload, and the commands' options exist."""
        settings = read(SERVICE)
        (start,) = settings["ExecStart"]
        check = f"{start} --check-config"
        self.assertEqual(start, f"{DAEMON} --config=/etc/finger/finger.toml")
        self.assertEqual(settings["ExecStartPre"], [check])
        self.assertEqual(settings["ExecReload"], [check, "/bin/kill -HUP $MAINPID"])
        options = {option.rstrip("=") for option in Options().longOpt}
        for word in shlex.split(check)[1:]:
            self.assertIn(word.removeprefix("--").partition("=")[0], options)

    def test_stop(self) -> None:
        """systemd waits longer for the service to stop than open connections may take."""
        self.assertGreater(int(read(SERVICE)["TimeoutStopSec"][0]), Config().drainSeconds)

    def test_dropIns(self) -> None:
        """A drop-in changes only settings of the service; its comment names its purpose and its path."""
        service = read(SERVICE)
        for path in DROP_INS:
            text = path.read_text("utf-8")
            self.assertTrue(text.startswith("# For "), path.name)
            self.assertIn(f"\n# /etc/systemd/system/finger.service.d/{path.name}\n", text)
            settings = read(path)
            self.assertTrue(settings)
            for key, values in settings.items():
                self.assertIn(key, service, path.name)
                self.assertNotEqual(values, service[key], path.name)

    def test_documented(self) -> None:
        """The documentation links to all units and drop-ins."""
        text = (ROOT / "docs" / "install.md").read_text("utf-8")
        named = set(re.findall(r"\.\./etc/systemd/(?:examples/)?([\w.-]+)", text))
        self.assertEqual(named, {path.name for path in (SERVICE, *SOCKETS.values(), *DROP_INS)})
