"""Tests for options: their values and their sources."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from finger.config.model import CommonConfig, Config
from finger.config.options import Option, OptionTable, didYouMean
from finger.config.settings import Settings, formatTOML, fromEnvironment, fromFile, fromFlags
from finger.config.types import Host, Kind, WholeOrNone
from finger.errors import ConfigError
from finger.plugins.discovery import findAdapters

TABLE = findAdapters().table


class TableTests(SynchronousTestCase):
    """The table of options."""

    def test_complete(self) -> None:
        """The table has a row for each field of the configuration, and no name twice."""
        keys = [option.key for option in TABLE.settings.values()]
        self.assertEqual(set(CommonConfig.__dataclass_fields__) - set(keys), set())
        self.assertEqual(len(keys), len(set(keys)))
        names = [name for option in TABLE for name in (option.name, option.off, option.short) if name]
        self.assertEqual(len(names), len(set(names)))

    def test_defaults(self) -> None:
        """The defaults, written as a configuration file, are those of the configuration."""
        self.assertEqual(Settings(TABLE).config(), Config())
        values = {name: option.default for name, option in TABLE.settings.items()}
        self.assertEqual(self.read(values).config(), Config())

    def read(self, values: Mapping[str, object]) -> Settings:
        """Return the settings of a file with these values."""
        path = Path(self.mktemp())
        path.write_text("\n".join(f"{name} = {formatTOML(value)}" for name, value in values.items()), "utf-8")
        return Settings(TABLE, fromFile(str(path), TABLE))

    def test_didYouMean(self) -> None:
        """Only a similar name is suggested."""
        self.assertEqual(didYouMean("hop", TABLE.settings), "; did you mean hops?")
        self.assertEqual(didYouMean("quux", TABLE.settings), "")


class KindTests(SynchronousTestCase):
    """The types of values."""

    def test_wholeOrNone(self) -> None:
        """A whole number may be missing, which is not the same as 0."""
        for given, value in (("none", None), ("0", 0), (0, 0), ("31536000", 31536000)):
            kind = WholeOrNone(0)
            self.assertEqual(kind.toField(kind.read(given)), value)
            self.assertEqual(kind.toField(kind.read(kind.fromField(value))), value)
        self.assertRaises(ValueError, WholeOrNone(0).read, "None")

    def test_host(self) -> None:
        """A host is a name or an address, in one form."""
        for given, value in (("X.Example.", "x.example"), ("straße.de", "xn--strae-oqa.de"), ("::0001", "::1")):
            self.assertEqual(Host().read(given), value)
        self.assertRaises(ValueError, Host().read, "x:80")


class FileTests(SynchronousTestCase):
    """Settings from a configuration file."""

    def write(self, content: str | bytes) -> str:
        """Write a file, and return its path."""
        path = Path(self.mktemp())
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def config(self, content: str) -> Config:
        """Return the configuration of a file."""
        return Settings(TABLE, fromFile(self.write(content), TABLE)).config()

    def test_values(self) -> None:
        """Each type of value is read, as is a single value for a list."""
        config = self.config(
            'file = "/u"\nfingerport = 79\nwebport = ["none", 8000]\nssl = true\nno-list = true\nhops = 2\n'
            'rate = 1\nquery-timeout = 0.5\ndisclose = ["plan", "mail"]\nircchannel = "#a"\nlog-format = "json"\n'
        )
        self.assertEqual(
            config,
            Config(
                usersFile="/u",
                webPorts=("none", "8000"),
                ssl=True,
                listing=False,
                maxHops=2,
                connectionsPerSecond=1.0,
                querySeconds=0.5,
                disclose=frozenset({"plan", "mail"}),
                ircChannels=("#a",),
                logFormat="json",
            ),
        )
        self.assertEqual(self.config('disclose = "plan,mail"').disclose, {"plan", "mail"})
        self.assertEqual(self.config("disclose = []").disclose, frozenset())
        self.assertEqual(self.config("webport = []").adapters["webPorts"], ())

    def test_wrong(self) -> None:
        """An error names the file, the option and the value, and describes a valid value."""
        for line, expected in (
            ("hops = true", "hops = true: should be a number, 1 or more"),
            ("hops = 1.5", "hops = 1.5: should be a number, 1 or more"),
            ("hops = [1]", "hops = [1]: should be a number, 1 or more"),
            ("rate = false", "rate = false: should be a number, 0 or more"),
            ("rate = nan", "rate = nan: should be a number, 0 or more"),
            ('query-timeout = "soon"', 'query-timeout = "soon": should be a number greater than 0'),
            ("ssl = 1", "ssl = 1: should be true or false"),
            ('ssl = "maybe"', 'ssl = "maybe": should be true or false'),
            ("file = 1", "file = 1: should name a file"),
            ('file = ""', 'file = "": should name a file'),
            ("templates = 1", "templates = 1: should be a text, in quotes"),
            ("fingerport = true", "fingerport = true: should be a number, an endpoint string"),
            ('webport = [""]', 'webport = "": should be a number, an endpoint string'),
            ("disclose = 1", "disclose = 1: should be a text such as 'name,plan'"),
            ("disclose = [1]", "disclose = [1]: should be a text such as 'name,plan'"),
            ('disclose = "age"', "disclose = \"age\": 'age' is not a field of a user; choose from name,plan,"),
            (
                'trust-proxy = "here"',
                "trust-proxy = \"here\": 'here' does not appear to be an IPv4 or IPv6 network; give",
            ),
            ("trust-proxy = 1.5", "trust-proxy = 1.5: '1.5' does not appear to be an IPv4 or IPv6 network; give"),
            ('log-format = "xml"', 'log-format = "xml": should be one of auto, text, json, journal'),
            ('auth = "memory:a:b"', 'auth = "memory:a:b": is not a usable credentials checker'),
            ("[web]\nport = 1", "web: unknown option"),
            ("hops = {a = 1}", 'hops = {"a" = 1}: should be a number, 1 or more'),
            ('config = "x"', "config: unknown option"),
            ("hops == 1", "is not TOML, with lines such as hops = 2: "),
            ("hops = 1111111111111111111", "hops = 1111111111111111111: should be a number of at most 18 digits"),
            ("hops = " + "9" * 5000, "is not TOML, with lines such as hops = 2: "),
            ("hops = 0x" + "f" * 5000, "hops: has a number of more than 64 bits, the limit of TOML"),
            ("file = [{a = 0x" + "f" * 5000 + "}]", "file: has a number of more than 64 bits"),
            ("hops = " + "[" * 5000, "is nested too deeply; write lines such as hops = 2"),
            ('file = "a\\u0000b"', 'file = "a\\u0000b": should have no NUL character'),
            ('setport = "unix:a\\u0000b"', 'setport = "unix:a\\u0000b": should have no NUL character'),
        ):
            path = self.write(line)
            error = self.assertRaises(ConfigError, fromFile, path, TABLE)
            self.assertTrue(str(error).startswith(f"{path}: {expected}"), str(error))
            self.assertNotIn("\n", str(error))

    def test_unreadable(self) -> None:
        """A path that does not exist, is a directory, or is not UTF-8 is an error."""
        for path, expected in (
            ("/nowhere/finger.toml", "--config=/nowhere/finger.toml: cannot be read: No such file or directory"),
            ("/", "--config=/: cannot be read: Is a directory"),
        ):
            self.assertEqual(str(self.assertRaises(ConfigError, fromFile, path, TABLE)), expected)
        error = self.assertRaises(ConfigError, fromFile, "/nowhere/finger.toml", TABLE, "FINGER_CONFIG")
        self.assertEqual(str(error), "FINGER_CONFIG=/nowhere/finger.toml: cannot be read: No such file or directory")
        path = self.write(b"file = '\xff'")
        self.assertEqual(str(self.assertRaises(ConfigError, fromFile, path, TABLE)), f"{path}: is not UTF-8")

    def test_otherEditors(self) -> None:
        """A file may begin with a byte order mark, and have line ends of Windows."""
        layer = fromFile(self.write(b"\xef\xbb\xbfhops = 2\r\nburst = 3\r\n"), TABLE)
        self.assertEqual({name: setting.value for name, setting in layer.items()}, {"hops": 2, "burst": 3})


class EnvironmentTests(SynchronousTestCase):
    """Settings from the environment."""

    def test_values(self) -> None:
        """Names are in capitals, values of a repeatable option are separated by white space, others are ignored."""
        layer = fromEnvironment(
            {
                "FINGER_NO_LIST": "Yes",
                "FINGER_SSL": "0",
                "FINGER_QUERY_TIMEOUT": "1.5",
                "FINGER_WEBPORT": "80 'tcp:8000:interface=::1'",
                "FINGER_FORWARD": "",
                "FINGER_PORT": "tcp://10.0.0.1:79",
                "FINGER_SERVICE_HOST": "10.0.0.1",
                "NO_LIST": "false",
            },
            TABLE,
        )
        self.assertEqual(
            Settings(TABLE, layer).config(),
            Config(listing=False, querySeconds=1.5, webPorts=("80", "tcp:8000:interface=::1")),
        )

    def test_wrong(self) -> None:
        """An error names the variable."""
        for name, value, expected in (
            ("FINGER_HOPS", "x", "should be a number, 1 or more"),
            ("FINGER_HOPS", "9" * 5000, "should be a number of at most 18 digits"),
            ("FINGER_SSL", "", "should be true or false"),
            ("FINGER_WEBPORT", "'80", "has an unclosed quotation mark"),
        ):
            error = self.assertRaises(ConfigError, fromEnvironment, {name: value}, TABLE)
            self.assertEqual(str(error), f"{name}={value}: {expected}")


class OtherKindTests(SynchronousTestCase):
    """The kinds of other packages."""

    def test_unexpected(self) -> None:
        """A kind that does not expect every type that TOML has is an error of one line."""

        class Upper(Kind):
            """A text in capital letters."""

            def read(self, value: Any) -> str:
                """See L{Kind.read}."""
                return str(value.upper())

        table = OptionTable([Option(name="upper", kind=Upper(), value="TEXT", group="G", help="H.")])
        path = Path(self.mktemp())
        path.write_text("upper = 1\n")
        error = self.assertRaises(ConfigError, fromFile, str(path), table)
        told = f"{path}: upper = 1: is not valid (AttributeError: 'int' object has no attribute 'upper')"
        self.assertEqual(str(error), told)

    def test_made(self) -> None:
        """A value that a kind has made into something else is taken as it is."""

        class Made(Kind):
            """A text that becomes its length."""

            def toField(self, value: str) -> int:
                """See L{Kind.toField}."""
                return len(value)

        option = Option(name="made", kind=Made(), value="TEXT", group="G", help="H.")
        self.assertEqual(option.valueIn(Config(made=7)), 7)

    def test_digits(self) -> None:
        """A name with digits is located as others are."""
        table = OptionTable([Option(name="tp2port", kind=Kind(), value="PORT", group="G", help="H.")])
        settings = Settings(table, fromEnvironment({"FINGER_TP2PORT": "5"}, table))
        self.assertEqual(settings.locate("--tp2port=5: is bad"), "FINGER_TP2PORT=5: is bad")


class SettingsTests(SynchronousTestCase):
    """The effective settings."""

    def test_order(self) -> None:
        """An earlier source overrides a later one, and lists are replaced, not joined."""
        settings = Settings(
            TABLE,
            fromFlags({"hops": ["2", "3"], "webport": ["1", "2"]}, TABLE),
            fromEnvironment({"FINGER_HOPS": "4", "FINGER_WEBPORT": "3", "FINGER_BURST": "5"}, TABLE),
        )
        config = settings.config()
        self.assertEqual((config.maxHops, config.adapters["webPorts"], config.connectionBurst), (3, ("1", "2"), 5))

    def test_format(self) -> None:
        """The settings can be printed with their sources, and read again."""
        settings = Settings(
            TABLE,
            fromFlags(
                {"hops": ["2"], "ssl": [True, False], "no-list": [True], "file": ['/a "b" \\ \x7f\u00fc']}, TABLE
            ),
        )
        text = "\n".join(settings.format())
        self.assertIn("hops = 2  # --hops", text)
        self.assertIn("ssl = false  # --no-ssl", text)
        self.assertIn("no-list = true  # --no-list", text)
        self.assertIn("ascii = false  # default", text)
        values: dict[str, Any] = tomllib.loads(text)
        self.assertEqual(list(values), list(TABLE.settings))
        self.assertEqual(values["file"], '/a "b" \\ \x7f\u00fc')

    def test_locate(self) -> None:
        """An error about an option names the source that set it."""
        path = Path(self.mktemp())
        path.write_text('templates = "/t"\n')
        settings = Settings(
            TABLE,
            fromFlags({"webport": ["x"]}, TABLE),
            fromEnvironment({"FINGER_FILE": "/u"}, TABLE),
            fromFile(str(path), TABLE),
        )
        for problem, expected in (
            ("--templates=/t: is none", f"{path}: templates=/t: is none"),
            ("--file=/u: cannot be read", "FINGER_FILE=/u: cannot be read"),
            ("--file: cannot be read", "FINGER_FILE: cannot be read"),
            ("--webport=x: is none", "--webport=x: is none"),
            ("--setport=1: is none", "--setport=1: is none"),
            ("--files: is none", "--files: is none"),
            ("--ssl without that", "--ssl without that"),
            ("is none", "is none"),
        ):
            self.assertEqual(settings.locate(problem), expected)
