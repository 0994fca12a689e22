"""Adapters as plugins: their discovery, and the parts that they add to a server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any, cast
from unittest.mock import patch

from twisted.application.service import Service
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.static import Data
from zope.interface import implementer
from zope.interface.verify import verifyObject

from finger.config.model import Config
from finger.config.options import Option, OptionTable
from finger.config.types import DatagramPort, Kind, Port, Switch
from finger.errors import ConfigError
from finger.net.ports import openPorts
from finger.ops.server import FingerServer
from finger.plugins.context import AdapterContext
from finger.plugins.discovery import Adapters, Broken, findAdapters
from finger.plugins.interfaces import IAdapterContext, IFingerAdapter
from finger.service import makeServer
from finger.tap import optionsOf
from tests.support.typed import addressOf
from tests.unit.test_service import configure

NUMBERS = count()
"""The numbers in the names of the plugin packages, which make the names unique."""

SOURCE = """
from twisted.plugin import IPlugin
from zope.interface import implementer

from finger.config.options import Option
from finger.config.types import Kind, Port, Switch
from finger.plugins.interfaces import IFingerAdapter

@implementer(IFingerAdapter)
class Adapter:
    name = {name!r}
    options = ({options})
    queries = ()

    def build(self, context):
        pass

adapter = Adapter()
"""


def source(name: str, options: str = "") -> str:
    """Return the source of a module with an adapter."""
    return SOURCE.format(name=name, options=options)


def option(name: str, kind: str = "Kind()", **more: object) -> str:
    """Return the source of an option."""
    rest = "".join(f", {key}={value!r}" for key, value in more.items())
    return f"Option(name={name!r}, kind={kind}, group='G', help='H.', value='V'{rest}),"


class FindAdaptersTests(SynchronousTestCase):
    """Adapters in a package of plugins."""

    def find(self, **modules: str) -> Adapters:
        """Find the adapters in a package of these modules."""
        name = f"fingeradapters{next(NUMBERS)}"
        directory = Path(self.mktemp()) / name
        directory.mkdir(parents=True)
        for module, text in {"__init__": "", **modules}.items():
            (directory / f"{module}.py").write_text(text)
        sys.path.insert(0, str(directory.parent))
        self.addCleanup(sys.path.remove, str(directory.parent))
        package: ModuleType = __import__(name)
        return findAdapters(package)

    def why(self, **modules: str) -> dict[str, str]:
        """Return why modules cannot be used, by the last part of their names."""
        return {broken.module.rpartition(".")[2]: broken.why for broken in self.find(**modules).broken}

    def test_ours(self) -> None:
        """The built-in adapters are found, in the order of the help, and provide the interface."""
        adapters = findAdapters()
        names = [adapter.name for adapter in adapters.found]
        self.assertEqual(names, ["finger", "web", "xmlrpc", "pb", "setter", "irc", "status"])
        self.assertEqual(adapters.broken, [])
        for adapter in adapters.found:
            verifyObject(IFingerAdapter, adapter)

    def test_others(self) -> None:
        """An adapter of another package is found, with its options, and only once if two modules contain it."""
        adapters = self.find(theirs=source("json", option("jsonport", "Port()", initial=(), repeated=True)))
        self.assertEqual([adapter.name for adapter in adapters.found], ["json"])
        self.assertEqual(adapters.table.settings["jsonport"].key, "jsonport")

    def test_backends(self) -> None:
        """Shells offer the back ends there are."""
        kind = findAdapters().table.settings["backend"].kind
        assert kind is not None
        self.assertEqual(kind.choices, ("file", "local", "memory", "proxy"))

    def test_again(self) -> None:
        """A plugin that a second module imports is found once."""
        again = self.find(a=source("x"), b="from .a import adapter\n")
        self.assertEqual([adapter.name for adapter in again.found], ["x"])

    def test_notUsable(self) -> None:
        """An invalid adapter is reported with the reason."""
        for text, why in (
            ("import nothing_of_that_name", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
            (source("x").replace("queries = ()", ""), "BrokenImplementation: The object "),
            (source("x").replace("'x'", "7"), "its name is not a string"),
            (source("x", "'port',"), "its option 'port': expected an Option"),
            (
                source("x", option("xport", "Port()", initial=("7",), repeated=True)),
                "its option 'xport' opens a port ",
            ),
            (
                source("x", option("x_y")),
                "its option 'x_y': expected a name of lower case letters, digits and hyphens",
            ),
            (source("x", option("y", short="yy")), "its option 'y': expected a short name of one letter"),
            (source("x", option("y", "None")), "its option 'y': expected a kind from finger.config.types"),
            (source("x", option("y", "Port()", initial=())), "its option 'y': a port must be repeated"),
            (source("x", option("y", repeated=True)), "its option 'y': expected a tuple as initial value"),
            (source("x", option("y", "Switch()")), "its option 'y': expected a boolean as initial value"),
            (source("x", option("y", field="usersFile")), "its option, usersFile, is that of a built-in one"),
            (source("x", option("hops")), "its option, --hops, is that of a built-in one"),
            (source("x", option("z", "Switch()", short="f", initial=False)), "its option, --f, is that of "),
            (source("x").replace("options = ()", "options = 7"), "its options are not a tuple"),
            (source("x").replace("queries = ()", "queries = 'json'"), "its queries are not a tuple of strings"),
            (
                source("x", option("y").replace("help='H.'", "help=5")),
                "its name, help, group, value and field must be strings",
            ),
            (source("x", option("y").replace("help='H.'", "help=''")), "expected a help text and a group"),
            (source("x", option("y", action=True)), "only built-in options can be actions"),
            (source("x", option("y").replace("value='V'", "value=''")), "expected a name for its value"),
            (source("x", option("y", "Kind('hosts')")), "its kind completes neither files, directories nor str"),
            (source("x", option("y", initial=None)), "its initial value None is not valid"),
            (source("x", option("y") * 2), "it declares --y twice"),
        ):
            told = self.why(theirs=text)
            self.assertIn(why, told.get("theirs", ""), text)

    def test_twice(self) -> None:
        """Of two adapters with the same name or option, neither is used, unless one is built-in: then that one is."""
        told = self.why(a=source("x"), b=source("x"), c=source("y"))
        self.assertEqual(told, dict.fromkeys("ab", "its name, x, is also that of another package's plugin"))
        told = self.why(d=source("x", option("z")), e=source("y", option("z")))
        self.assertEqual(told, dict.fromkeys("de", "its option, --z, is also that of another package's plugin"))
        adapters = self.find(finger_adapters=source("x", option("z")), a=source("x"), b=source("y", option("z")))
        self.assertEqual([adapter.name for adapter in adapters.found], ["x"])
        self.assertEqual(len(adapters.broken), 2)

    def test_unknown(self) -> None:
        """An unknown option that a broken plugin mentions is attributed to that plugin."""
        adapters = self.find(theirs=source("json", option("jsonport")) + "1/0\n")
        self.assertIn(".theirs cannot be used: ZeroDivisionError: division by zero", adapters.whyUnknown("jsonport"))
        self.assertEqual(adapters.whyUnknown("json"), adapters.whyUnknown("jsonport"))
        self.assertEqual(adapters.whyUnknown("jsonports"), "")
        self.assertEqual(adapters.broken[0].package, "")
        self.assertRegex(Broken("twisted.web.server", "", "").package, r"Twisted \d+\.\d+")

    def test_obscure(self) -> None:
        """A plugin that imports its options from elsewhere may have any of them, unless one surely has."""
        adapters = self.find(a="from nowhere import adapter\n", b=source("json", option("jsonport")) + "1/0\n")
        self.assertIn(".a cannot be used: ModuleNotFoundError", adapters.whyUnknown("tpport"))
        self.assertNotIn(".a ", adapters.whyUnknown("jsonport"))
        error = self.assertRaises(SystemExit, optionsOf(adapters)().parseOptions, ["--tpport=1"])
        self.assertIn("option --tpport not recognized; fingeradapters", str(error.code))
        foreign = {"FINGER_PORT": "tcp://192.0.2.1:79", "FINGER_SERVICE_HOST": "192.0.2.1", "FINGER_TPPORT": "1"}
        with patch.dict("os.environ", foreign):
            optionsOf(adapters)().parseOptions([])
        lost = Broken("x", self.mktemp(), "gone")
        self.assertTrue(lost.isObscure)

    def test_optionsWithout(self) -> None:
        """An option of a plugin that cannot be used is refused, with the reason."""
        adapters = self.find(theirs=source("json", option("json-port")) + "1/0\n")
        options = optionsOf(adapters)()
        for arguments, environment, told in (
            (["--json-port=1"], {}, "option --json-port not recognized; fingeradapters"),
            ([], {"FINGER_JSON_PORT": "1"}, "FINGER_JSON_PORT: fingeradapters"),
        ):
            with patch.dict("os.environ", environment):
                error = self.assertRaises(SystemExit, options.parseOptions, arguments)
            self.assertIn(told, str(error.code))
            self.assertIn("cannot be used: ZeroDivisionError", str(error.code))
        path = Path(self.mktemp())
        path.write_text("json-port = 1\n")
        error = self.assertRaises(SystemExit, options.parseOptions, [f"--config={path}"])
        self.assertIn(f"{path}: json-port: unknown option; fingeradapters", str(error.code))


@implementer(IFingerAdapter)
class EverythingAdapter:
    """An adapter that calls C{doBuild} to build itself."""

    name = "everything"
    options = (
        Option(
            name="everyport",
            kind=Port(),
            repeated=True,
            initial=(),
            value="PORT",
            group="Everything",
            help="A stream port.",
        ),
        Option(
            name="everydatagram",
            kind=DatagramPort(),
            repeated=True,
            initial=(),
            value="PORT",
            group="Everything",
            help="UDP.",
        ),
        Option(name="everyword", kind=Kind(), value="WORD", group="Everything", help="A word."),
    )
    queries = ("everything",)

    def __init__(self, doBuild: Callable[[IAdapterContext], object]) -> None:
        self._build = doBuild

    def build(self, context: IAdapterContext) -> None:
        """See L{IFingerAdapter.build}."""
        self._build(context)


class Echo(DatagramProtocol):
    """Sends back each datagram."""

    noisy = False

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Send the datagram back, or fail."""
        if datagram == b"fail":
            raise ZeroDivisionError
        assert self.transport is not None
        self.transport.write(datagram, addr)


class Asker(DatagramProtocol):
    """
    Sends a datagram.

    @ivar answer: fires with the reply.
    """

    noisy = False

    def __init__(self, host: str, port: int, datagram: bytes) -> None:
        self._to = host, port
        self._datagram = datagram
        self.answer: Deferred[bytes] = Deferred()

    def startProtocol(self) -> None:
        """Send the datagram."""
        assert self.transport is not None
        self.transport.write(self._datagram, self._to)

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """Fire with the reply."""
        self.answer.callback(datagram)


class ContextTests(TestCase):
    """The parts that an adapter can add."""

    def make(self, doBuild: Callable[[IAdapterContext], object], reactor: Any = None, **fields: Any) -> FingerServer:
        """Make a server with the built-in adapters and one that builds itself with C{doBuild}."""
        ours = findAdapters()
        found: list[IFingerAdapter] = [*ours.found, EverythingAdapter(doBuild)]
        table = OptionTable(row for one in found for row in one.options)
        adapters = Adapters(found, ours.broken, table, found[-1:])
        with patch("finger.service.findAdapters", return_value=adapters):
            return makeServer(configure(**fields), reactor or MemoryReactorClock())

    def test_interface(self) -> None:
        """The context provides the interface, and holds the values of the adapter's options."""
        contexts: list[IAdapterContext] = []
        self.make(contexts.append, everyword="x")
        (context,) = contexts
        self.assertIsInstance(context, AdapterContext)
        verifyObject(IAdapterContext, context)
        self.assertEqual(context.options, {"everyport": (), "everydatagram": (), "everyword": "x"})
        self.assertEqual(context.ports("everyport"), [])

    def test_notAsked(self) -> None:
        """If its options are unset or C{none}, an adapter opens no port."""

        def build(context: IAdapterContext) -> None:
            context.listen("everyport", None)  # type: ignore[arg-type]
            context.listenDatagram("everydatagram", Echo)

        self.assertEqual(self.make(build, everyport=("none",)).openPorts(), {})

    def test_connections(self) -> None:
        """All outgoing connections are started with the server."""
        services = [Service(), Service()]

        def build(context: IAdapterContext) -> None:
            for service in services:
                context.connect(service)

        server = self.make(build)
        server.startService()
        self.addCleanup(server.stopService)
        self.assertEqual([bool(service.running) for service in services], [True, True])

    def test_webChildren(self) -> None:
        """An adapter's resource is a child of the web root; a second resource at the same path is refused."""
        child = Data(b"", "text/plain")
        with patch("finger.adapters.web.adapter.RepeatingSite") as site:
            self.make(lambda context: context.addWebChild(b"extra", child))
        self.assertIs(site.call_args.args[0].children[b"extra"], child)
        for twice in (
            lambda context: context.addWebChild(b"RPC2", child),
            lambda context: self.addTwice(context, child),
        ):
            error = self.assertRaises(ConfigError, self.make, twice, everyword="x")
            self.assertIn("everything: another adapter already serves /", str(error))

    def addTwice(self, context: IAdapterContext, child: Data) -> None:
        """Add a child at one path twice."""
        context.addWebChild(b"extra", child)
        context.addWebChild(b"extra", child)

    async def test_datagrams(self) -> None:
        """Datagrams are answered over IPv4 and IPv6, and a failure affects only its own datagram."""
        server = self.make(
            lambda context: context.listenDatagram("everydatagram", Echo), reactor, everydatagram=("0",)
        )
        server.privilegedStartService()
        server.startService()
        self.addCleanup(server.stopService)
        (service,) = [service for service in server if str(service.name).startswith("--everydatagram")]
        ports = [addressOf(port).port for port in openPorts(service)]
        self.assertEqual(len(set(ports)), 1)
        for host in ("127.0.0.1", "::1"):
            failing = Asker(host, ports[0], b"fail")
            listening = cast(Any, reactor).listenUDP(0, failing, interface=host)
            self.addCleanup(listening.stopListening)
            asker = Asker(host, ports[0], b"hello")
            listening = cast(Any, reactor).listenUDP(0, asker, interface=host)
            self.addCleanup(listening.stopListening)
            self.assertEqual(await asker.answer, b"hello")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_badDatagramPort(self) -> None:
        """A datagram port must be a number."""

        def build(context: IAdapterContext) -> None:
            context.listenDatagram("everydatagram", Echo)

        error = self.assertRaises(ConfigError, self.make, build, everydatagram=("tcp:7",))
        expected = "Config: everydatagram='tcp:7': should be a number from 0 to 65535, or 'none'"
        self.assertEqual(str(error), expected)

    def test_fails(self) -> None:
        """An adapter that fails to build is logged and left out, but is an error if one of its options is set."""

        def build(context: IAdapterContext) -> None:
            raise ZeroDivisionError("oops")

        with capturedLogs() as logs:
            self.make(build)
        told = [formatEvent(event) for event in logs]
        why = f"adapter everything (module {__name__}) cannot be used: ZeroDivisionError: oops"
        self.assertIn(why, told)
        error = self.assertRaises(ConfigError, self.make, build, everyword="x")
        self.assertEqual(str(error), why)

    def test_mistakes(self) -> None:
        """Whatever an adapter adds wrongly is one line; nothing that it added before is there."""
        web = Data(b"", "text/plain")
        mistakes: list[tuple[Callable[[Any], object], str]] = [
            (lambda context: context.listen("everyport", None), "None is not a protocol factory"),
            (lambda context: context.listen("everydatagram", Factory()), "its kind is not Port"),
            (lambda context: context.listenDatagram("everyport", Echo), "its kind is not DatagramPort"),
            (lambda context: context.listenDatagram("everydatagram", 7), "7 makes no protocols"),
            (lambda context: context.connect(7), "7 is not a service"),
            (lambda context: context.addWebChild("extra", web), "'extra' is not one segment of a path"),
            (lambda context: context.addWebChild(b"", web), "b'' is not one segment of a path"),
            (lambda context: context.addWebChild(b"a/b", web), "b'a/b' is not one segment of a path"),
            (lambda context: context.addWebChild(b"extra", None), "None is not a web resource"),
            (lambda context: [context.addGauge("g", "G.", float) for _ in range(2)], "there is already a gauge 'g'"),
            (lambda context: [context.listen("everyport", Factory()) for _ in range(2)], "listens there twice"),
            (lambda context: sys.exit("bye\x1b"), "SystemExit: bye\\x1b"),
        ]
        for mistake, why in mistakes:
            connection = Service()

            def build(context: IAdapterContext, mistake: Any = mistake, connection: Service = connection) -> None:
                context.connect(connection)
                mistake(context)

            error = self.assertRaises(
                ConfigError, self.make, build, everyport=("tcp:0",), everydatagram=("0",), everyword="x"
            )
            self.assertIn(why, str(error))
            self.assertIsNone(connection.parent)

    def test_coroutine(self) -> None:
        """A build that returns something may have been meant to be awaited."""
        adapter = EverythingAdapter(lambda context: None)
        with patch.object(adapter, "build", return_value=7), capturedLogs() as logs:
            ours = findAdapters()
            found = Adapters([*ours.found, adapter], [], ours.table, [adapter])
            with patch("finger.service.findAdapters", return_value=found):
                makeServer(configure(), MemoryReactorClock())
        told = [formatEvent(event) for event in logs]
        self.assertTrue([line for line in told if line and "build must not return anything" in line], told)

    def test_ours(self) -> None:
        """A mistake in a built-in adapter is not hidden."""
        with patch("finger.adapters.xmlrpc.XMLRPCAdapter.build", side_effect=ZeroDivisionError):
            self.assertRaises(ZeroDivisionError, makeServer, configure(), MemoryReactorClock())

    def test_gauges(self) -> None:
        """A gauge whose name is in use is left out, with a line in the log."""
        with capturedLogs() as logs:
            self.make(lambda context: context.addGauge("finger_queries", "Q.", float), statusPorts=("0",))
        told = [formatEvent(event) for event in logs]
        self.assertTrue([line for line in told if line and "gauge finger_queries cannot be used" in line], told)

    def test_broken(self) -> None:
        """A module that cannot be used is logged in one line."""
        ours = findAdapters()
        broken = Adapters(ours.found, [*ours.broken, "x.y cannot be used: z"], ours.table)  # type: ignore[list-item]
        with patch("finger.service.findAdapters", return_value=broken), capturedLogs() as logs:
            makeServer(configure(), MemoryReactorClock())
        self.assertIn("x.y cannot be used: z", [formatEvent(event) for event in logs])

    def test_unknownField(self) -> None:
        """A field that belongs to no adapter is refused by name."""
        error = self.assertRaises(ConfigError, makeServer, Config(fingerPort=("79",)), MemoryReactorClock())
        self.assertEqual(str(error), "Config: there is no field fingerPort; did you mean fingerPorts?")

    def test_string(self) -> None:
        """A string in place of a tuple is refused; its letters would be ports."""
        error = self.assertRaises(ConfigError, makeServer, Config(fingerPorts="79"), MemoryReactorClock())
        self.assertEqual(str(error), "Config: fingerPorts='79': expected a tuple, as in fingerPorts=('79',)")
        makeServer(configure(fingerPorts=(1079,)), MemoryReactorClock())
        for fields in ({"ircNick": 5}, {"ssl": "no"}, {"webPorts": (None,)}):
            error = self.assertRaises(ConfigError, makeServer, configure(**fields), MemoryReactorClock())
            self.assertIn(f"Config: {next(iter(fields))}=", str(error))


class DatagramPortTests(SynchronousTestCase):
    """The values of a datagram port's option."""

    def test_read(self) -> None:
        """The value is a port number or C{none}."""
        kind = DatagramPort()
        self.assertEqual([kind.read(value) for value in ("79", 79, "none")], ["79", "79", "none"])
        for value in ("", "x", True, "65536", "tcp:79", -1, "9" * 5000):
            self.assertRaises(ValueError, kind.read, value)
        self.assertIsNot(kind, Switch())
