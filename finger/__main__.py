"""
C{python -m finger}: the finger client for the command line.

Unlike other clients, it accepts ports, IPv6 addresses and URLs, reports failures by its exit status, and escapes
answers that could harm the terminal (RFC 1288, section 3.3).
"""

from __future__ import annotations

import signal
import sys
from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from getpass import getpass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, NoReturn, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.task import react

from finger import __version__
from finger.client.client import FINGER_PORT, Allowed, Answer, FingerClient
from finger.client.fingerurl import isURL
from finger.client.setstatus import Reply, oneself, setStatus
from finger.client.targets import Target, parseTarget
from finger.config.completion import clientCompletion
from finger.config.help import discardOutput, oneLine, printText, showAnything
from finger.config.options import SHELLS
from finger.config.passwords import checkUser, formatLine
from finger.errors import BadQuery, ForwardingRefused, RemoteUnreachable, Stage
from finger.protocol.hosts import parseAddress, parsePort
from finger.protocol.setting import MAX_MESSAGE
from finger.protocol.wire import cleanLine, decode

COMMAND: Final = "twisted-finger"
"""The command, if the package is installed."""

MODULE: Final = "python -m finger"
"""The command, wherever the package can be imported."""

DESCRIPTION: Final = "Query finger servers (RFC 1288) for users; without a host, query this machine."
EXAMPLES: Final = """\
examples:
  %(prog)s -p 1079                    list the users at this port
  %(prog)s moshez@finger.example.org  show one user
  %(prog)s moshez@localhost:1079      show one user, at this port
  %(prog)s @[2001:db8::79]            list the users at this address
  %(prog)s finger://localhost/moshez  follow a finger URL
  %(prog)s moshez@inner@outer         have outer query inner
  echo away | %(prog)s --set -p 1080 moshez
                                      set a user's status, at the setter's port
  echo away | %(prog)s --set=/run/finger/set
                                      set your own, at the setter's UNIX socket
  %(prog)s --hash-password moshez >> passwords
                                      add a user to the server's password file

exit status: 0 if all queries were answered, 1 if not, 2 for invalid options
"""


class Parser(ArgumentParser):
    """
    The parser of the command line.

    @ivar options: its options, in the order of the help.
    """

    options: Sequence[Action]

    def parse(self, arguments: Sequence[str]) -> Namespace:
        """Parse the arguments.  C{--} ends the options; what follows is for targets, even if it begins with C{-}."""
        end = arguments.index("--") if "--" in arguments else len(arguments)
        options = self.parse_intermixed_args(arguments[:end])
        options.targets += arguments[end + 1 :]
        return options

    def error(self, message: str) -> NoReturn:
        """Report invalid arguments in one line, and exit."""
        self.exit(2, f"{self.prog}: error: {oneLine(message)}\n")


def programName(script: str) -> str:
    """Return the name of the command, as it was typed, from the path of its script (C{sys.argv[0]})."""
    return COMMAND if Path(script).name == COMMAND else MODULE


def makeParser(program: str = MODULE) -> Parser:
    """
    Make the parser of the command line.

    @param program: the name of the command, for its help and its errors.
    """
    parser = Parser(
        prog=program,
        usage="%(prog)s [-l] [-4|-6] [-p PORT] [user][@host ...] ...",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
        add_help=False,
    )
    family = parser.add_mutually_exclusive_group()
    parser.options = [
        parser.add_argument("-h", "--help", action="help", help="show this help message and exit"),
        family.add_argument("-4", "--ipv4", action="store_const", const=4, dest="family", help="use IPv4 only"),
        family.add_argument("-6", "--ipv6", action="store_const", const=6, dest="family", help="use IPv6 only"),
        parser.add_argument("-l", "--long", action="store_true", help="ask for more information (/W)"),
        parser.add_argument(
            "-p", "--port", type=_port, help=f"port of hosts that are given without one [default: {FINGER_PORT}]"
        ),
        parser.add_argument(
            "--set",
            nargs="?",
            const="",
            metavar="SOCKET",
            help="set a user's status (by default your own) to the text on standard input, through the setter's "
            "UNIX socket, or its port given by -p",
        ),
        parser.add_argument(
            "--hash-password",
            action="store_true",
            help="read a user's password (by default your own), and print the line for the server's password file",
        ),
        parser.add_argument("--completion", choices=SHELLS, help="print the completion script for a shell"),
        parser.add_argument("--version", action="version", version=f"finger {__version__}"),
    ]
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="[user][@host ...]",
        help="the user to query; without a user, list all.  The last host may have a port, as in host:1079.  A "
        "finger URL works as well",
    )
    return parser


def _port(text: str) -> int:
    try:
        return parsePort(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from error


def _isIPv4(address: str) -> bool:
    return getattr(parseAddress(address), "version", None) == 4


def _isIPv6(address: str) -> bool:
    return not _isIPv4(address)


FAMILIES: Final[dict[int, Allowed]] = {4: _isIPv4, 6: _isIPv6}


FAILURES: Final[dict[Stage, str]] = {
    Stage.RESOLVING: "could not resolve {host}: {why}",
    Stage.CONNECTING: "could not connect to {host} port {port}: {why}",
    Stage.WAITING: "connected to {host} port {port}, but {why}",
    Stage.EMPTY: "{host} port {port} sent an empty answer",
}
"""What is said of a query without an answer, by how far it came."""


class Asking:
    """
    Sends the queries of the command line, one after the other.

    @param client: the client that sends them.
    @param options: the parsed options.
    @param out: the stream for answers; L{None} if the shell has closed it.
    @param err: the stream for errors, one line each.
    """

    def __init__(self, client: FingerClient, options: Namespace, out: TextIO | None, err: TextIO | None) -> None:
        self._client = client
        self._options = options
        self._out = out
        self._err = err
        self._printed = False

    async def run(self, targets: Sequence[Target]) -> int:
        """
        Send the queries, and print the answers.

        @param targets: the queries.
        @return: the exit status.
        """
        try:
            return 0 if all([await self._one(target) for target in targets]) else 1
        except BrokenPipeError:  # The reader, such as head, has closed the pipe.
            discardOutput(self._out)
        except OSError as error:
            discardOutput(self._out)
            self._fail(f"could not write the answer: {error.strerror}")
        return 1

    async def _one(self, target: Target) -> bool:
        host = target.host or "localhost"
        port = target.port or self._options.port or FINGER_PORT
        try:
            answer = await self._client.ask(host, port, target.query, FAMILIES.get(self._options.family))
        except ForwardingRefused:
            return self._fail(f"could not connect to {host} port {port}: no IPv{self._options.family} address")
        except RemoteUnreachable as error:
            return self._fail(FAILURES[error.stage].format(host=host, port=port, why=cleanLine(str(error))))
        self._print(target, answer)
        return not answer.truncated or self._fail(f"the answer of {host} was truncated: {answer.truncated}")

    def _print(self, target: Target, answer: Answer) -> None:
        header = [f"[{target.host}]"] if target.host else []
        gap = [""] if self._printed else []
        print(*gap, *header, decode(answer.content), sep="\n", file=self._out, flush=True)
        self._printed = True

    def _fail(self, message: str) -> bool:
        print(f"finger: {message}", file=self._err)
        return False


def _run(reactor: Any, options: Namespace, targets: Sequence[Target]) -> Deferred[None]:
    async def run() -> None:
        sys.exit(await Asking(FingerClient(reactor), options, sys.stdout, sys.stderr).run(targets))

    return Deferred.fromCoroutine(run())


def _set(where: int | str, user: str) -> int:
    try:
        reply = setStatus(where, user, _readStatus())
    except (OSError, BadQuery) as error:
        why = getattr(error, "strerror", None) or str(error)
        reply = Reply(f"could not set a status at {where}: {why}", isSet=False)
    if reply.isSet:
        printText(reply.text, "replace")
        return 0
    print(f"finger: {cleanLine(reply.text)}", file=sys.stderr)
    return 1


def _readStatus() -> str:
    """
    Read the status from standard input; of a text that is too long, only enough for the setter to refuse it.

    @raise BadQuery: if it is not text.
    """
    try:
        status = sys.stdin.read(MAX_MESSAGE + 1) if sys.stdin is not None else ""
        status.encode()  # Python reads the locale C as UTF-8, with any other bytes as lone surrogates.
    except UnicodeError:
        raise BadQuery(f"standard input is not text in {sys.stdin.encoding}") from None
    return status


def _readPassword() -> bytes:
    """
    Read a password, from a terminal without echo and twice, or from standard input.

    @raise ValueError: if it is not one line.
    """
    if sys.stdin is None:
        raise ValueError("standard input is closed")
    if sys.stdin.isatty():
        password = getpass("Password: ")
        if getpass("Once more: ") != password:
            raise ValueError("the two passwords are not the same")
        return password.encode("utf-8", "surrogateescape")
    line, _, more = sys.stdin.buffer.read().partition(b"\n")
    if more:
        raise ValueError("expected a password of one line")
    return line.removesuffix(b"\r")


def _hashPassword(user: str) -> int:
    try:
        user = user or oneself()
        checkUser(user)
        line = formatLine(user, _readPassword())
    except (BadQuery, OSError, EOFError, ValueError) as error:
        print(f"finger: could not hash a password: {str(error) or 'there is none'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # The file is in UTF-8, whatever the terminal is.
    printText(line)
    return 0


def main(arguments: Sequence[str] | None = None, reactor: Any = None) -> NoReturn:
    """
    Run the command.

    @param arguments: the arguments, without the program's name; by default those of the command line.
    @param reactor: the reactor to run; by default the global one.
    """
    parser = makeParser(programName(sys.argv[0]))
    options = parser.parse(sys.argv[1:] if arguments is None else arguments)
    if options.completion:
        printText(clientCompletion(options.completion, parser.options))
        sys.exit(0)
    if options.hash_password:
        if len(options.targets) > 1 or options.set is not None:
            parser.error("--hash-password takes one user")
        sys.exit(_hashPassword("".join(options.targets)))
    # Ctrl-C ends the process at once and silently, with the exit status 130, as shells expect.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    showAnything(sys.stdout)
    showAnything(sys.stderr)
    if options.set is not None:
        if len(options.targets) > 1 or any("@" in user or isURL(user) for user in options.targets):
            parser.error("--set sets one user of this machine")
        if not options.set and options.port is None:
            parser.error("--set needs the setter: give its UNIX socket by --set=SOCKET, or its port by -p PORT")
        sys.exit(_set(options.set or options.port, "".join(options.targets)))
    try:
        targets = [parseTarget(text, options.long) for text in options.targets or [""]]
    except ValueError as error:
        parser.error(str(error))
    react(_run, (options, targets), reactor)


if __name__ == "__main__":
    main()
