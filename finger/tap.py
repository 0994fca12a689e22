"""C{twistd finger}: the command line, read into a L{Config}, and the service made of it."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from math import isfinite
from typing import Any, NoReturn

from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import (
    AuthOptionMixin,
    InvalidAuthArgumentString,
    InvalidAuthType,
    UnsupportedInterfaces,
    makeChecker,
)
from twisted.python.usage import Options as UsageOptions
from twisted.python.usage import UsageError

from finger._version import __version__
from finger.config import Config
from finger.discovery import findBackends
from finger.errors import ConfigError
from finger.privileges import unprivileged
from finger.profile import DEFAULT_ATOMS, FIELD_OF_ATOM
from finger.server import FingerServer
from finger.service import makeService as makeServer

DEFAULTS = Config()


class Options(UsageOptions, AuthOptionMixin):
    """The options of C{twistd finger}."""

    supportedInterfaces = (IUsernamePassword,)
    authOutput = sys.stdout

    synopsis = "[options]"
    longdesc = (
        "A finger server (RFC 1288) over IPv4 and IPv6, also on the web, XML-RPC, IRC and Perspective Broker. "
        "A PORT is a number, which is that port on both IPv4 and IPv6, an endpoint string such as "
        "'tcp:79:interface=192.0.2.1', or 'none'."
    )

    optFlags = [
        ["ssl", "s", "Answer HTTPS, too."],
        ["no-list", None, "Do not list users."],
        ["match-names", None, "Take a name that is no login for a first, last or full name."],
        ["ascii", None, "Answer finger in ASCII, not in UTF-8."],
    ]

    optParameters = [
        ["file", "f", DEFAULTS.usersFile, "The users file: lines 'user: status'."],
        ["templates", "t", DEFAULTS.templates, "The directory of the web pages' templates; else the package's."],
        ["certificate", None, DEFAULTS.certificate, "The HTTPS certificate, a PEM file; without it one is made up."],
        ["privatekey", None, DEFAULTS.privateKey, "Its private key, a PEM file, if that does not hold it."],
        ["ircnick", "n", DEFAULTS.ircNick, "The IRC bot's nickname; without it there is no bot."],
        ["ircserver", None, DEFAULTS.ircServer, "Its server: HOST[:PORT] or an endpoint string."],
        ["hops", None, DEFAULTS.maxHops, "Of user@host1@host2..., how many hosts --forward allows."],
        ["disclose", None, ",".join(sorted(DEFAULT_ATOMS)), f"What is told of users: {','.join(FIELD_OF_ATOM)}."],
        ["rate", None, DEFAULTS.connectionsPerSecond, "Connections per second from one address; 0: any number."],
        ["burst", None, DEFAULTS.connectionBurst, "Connections at once, before --rate counts."],
        ["query-timeout", None, DEFAULTS.querySeconds, "Seconds for a query to arrive."],
        ["answer-timeout", None, DEFAULTS.answerSeconds, "Seconds for a back end to answer."],
        ["drain-timeout", None, DEFAULTS.drainSeconds, "Seconds for connections to end when stopped."],
        ["max-connections", None, DEFAULTS.maxConnections, "Connections an adapter takes at once."],
        ["max-per-address", None, DEFAULTS.maxConnectionsPerAddress, "Of these, from one address."],
    ]

    compData = None

    def __init__(self) -> None:
        super().__init__()
        self._repeated: defaultdict[str, list[str]] = defaultdict(list)
        self.config = DEFAULTS

    def opt_backend(self, value: str) -> None:
        """A back end, NAME[:ARGUMENT]; repeatable: the first that knows a user answers. [default: file]"""
        self._repeated["backends"].append(value)

    def opt_fingerport(self, value: str) -> None:
        """The PORT for finger; repeatable. [default: 79]"""
        self._repeated["fingerPorts"].append(value)

    def opt_webport(self, value: str) -> None:
        """The PORT for HTTP and XML-RPC; repeatable. [default: 8000]"""
        self._repeated["webPorts"].append(value)

    def opt_httpsport(self, value: str) -> None:
        """The PORT for HTTPS, with --ssl; repeatable. [default: 443]"""
        self._repeated["httpsPorts"].append(value)

    def opt_pbport(self, value: str) -> None:
        """The PORT for Perspective Broker, a number being on loopback; repeatable. [default: 8889]"""
        self._repeated["pbPorts"].append(value)

    opt_p = opt_pbport

    def opt_setport(self, value: str) -> None:
        """The PORT for setting statuses, a number being on loopback; repeatable. [default: none]"""
        self._repeated["setterPorts"].append(value)

    def opt_auth(self, description: str) -> None:
        """What knows passwords, so that people can set their status, TYPE[:ARGUMENT]; repeatable; see --help-auth."""
        kind, _, argument = description.partition(":")
        try:
            if kind == "memory":
                raise ValueError("a command line is for everybody to read; put the passwords into a file")
            if kind == "file" and argument:
                open(argument).close()
            self.addChecker(makeChecker(description))
        except (UnsupportedInterfaces, InvalidAuthType, InvalidAuthArgumentString, ValueError, OSError) as error:
            raise UsageError(f"--auth={description}: is no way to log in that can be used ({error})") from error

    def opt_admin(self, value: str) -> None:
        """A user who may set anybody's status; repeatable. [default: root]"""
        self._repeated["administrators"].append(value)

    def opt_ircchannel(self, value: str) -> None:
        """A channel for the IRC bot to join; repeatable."""
        self._repeated["ircChannels"].append(value)

    def opt_forward(self, value: str) -> None:
        """A host that may be asked for user@host: a name, an address, a network, or 'any'; repeatable."""
        self._repeated["forward"].append(value)

    def opt_help_backends(self) -> NoReturn:
        """List the back ends there are."""
        print(findBackends().help())
        raise SystemExit(0)

    def opt_version(self) -> NoReturn:
        """Print the version."""
        print(f"finger {__version__}")
        raise SystemExit(0)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """See L{UsageOptions.parseOptions}.  What is wrong is told in one line, without all the help around it."""
        try:
            super().parseOptions(options)
        except (UsageError, ConfigError) as error:
            raise SystemExit(f"twistd finger: {error}") from error

    def parseArgs(self, *arguments: str) -> None:
        """See L{UsageOptions.parseArgs}."""
        if arguments:
            raise UsageError(f"takes options only, not {arguments[0]!r}")

    def postOptions(self) -> None:
        """See L{UsageOptions.postOptions}."""
        if not self["file"]:
            raise UsageError("--file=: should name a file")
        lists: dict[str, Any] = {field: tuple(values) for field, values in self._repeated.items()}
        self.config = Config(
            usersFile=self["file"],
            templates=self["templates"],
            ssl=bool(self["ssl"]),
            certificate=self["certificate"],
            privateKey=self["privatekey"],
            ircNick=self["ircnick"],
            ircServer=self["ircserver"],
            listing=not self["no-list"],
            maxHops=self._atLeast("hops", 1),
            disclose=_atoms(self["disclose"]),
            utf8=not self["ascii"],
            matchNames=bool(self["match-names"]),
            checkers=tuple(self.get("credCheckers", ())),
            connectionsPerSecond=self._number("rate", 0),
            connectionBurst=self._atLeast("burst", 1),
            querySeconds=self._number("query-timeout"),
            answerSeconds=self._number("answer-timeout"),
            drainSeconds=self._number("drain-timeout", 0),
            maxConnections=self._atLeast("max-connections", 1),
            maxConnectionsPerAddress=self._atLeast("max-per-address", 1),
            **lists,
        )

    def _number(self, option: str, least: float | None = None) -> float:
        """A number of at least so much; if that is not said, of more than nothing."""
        try:
            value = float(self[option])
        except ValueError:
            value = float("nan")
        if not (isfinite(value) and (value > 0 if least is None else value >= least)):
            expected = "a number greater than 0" if least is None else f"a number, {least:g} or more"
            raise UsageError(f"--{option}={self[option]}: should be {expected}")
        return value

    def _atLeast(self, option: str, least: int) -> int:
        value = str(self[option])
        if not (value.isascii() and value.isdigit() and int(value) >= least):
            raise UsageError(f"--{option}={value}: should be a number, {least} or more")
        return int(value)


def _atoms(value: str) -> frozenset[str]:
    atoms = frozenset(atom.strip() for atom in value.split(",") if atom.strip())
    unknown = sorted(atoms.difference(FIELD_OF_ATOM))
    if unknown:
        raise UsageError(f"--disclose={value}: {unknown[0]!r} cannot be told; choose of {','.join(FIELD_OF_ATOM)}")
    return atoms


def makeService(options: Options) -> FingerServer:
    """
    Make the service for twistd, and open its ports before twistd forks, so that a port that cannot be had is told on
    the terminal.  Started as root, twistd is told to become somebody else, unless its own C{--uid} says whom.
    """
    from twisted.internet import reactor

    # Deadlines are about time that passes, not about what a clock on the wall is set to.
    reactor.seconds = time.monotonic  # type: ignore[method-assign]
    try:
        server = makeServer(options.config, reactor)
        server.open()
        twistd = options.parent
        if twistd is not None and twistd["uid"] is None:
            user = unprivileged()
            if user is not None:
                twistd["uid"], twistd["gid"] = user
    except ConfigError as error:
        raise SystemExit(f"twistd finger: {error}") from error
    return server
