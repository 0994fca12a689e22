"""What is printed for who wants to know how: the help of C{twistd finger}, as wide as a terminal is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from textwrap import fill, wrap
from typing import TextIO

from finger.config.options import COMMAND, Option, OptionTable

ABOUT = (
    "A finger server (RFC 1288) over IPv4 and IPv6, also on the web, XML-RPC, IRC and Perspective Broker. "
    "What it should do can be said by options, by FINGER_OPTION in the environment, and in a file. "
    "A PORT is a number, for IPv4 and IPv6; 'systemd:NAME', for sockets of systemd's; 'none'; or one of Twisted's "
    "endpoint strings, as 'tcp:79:interface=192.0.2.1'."
)

EXAMPLES = (
    ("--file=/etc/users --ircnick=fingerbot", "finger at port 79, the web at 8000, and a bot on IRC"),
    ("--backend=local --fingerport=1079 --webport=none --pbport=none", "this machine's users, without being root"),
    ("--config=/etc/finger/finger.toml --check-config", "is there anything wrong with that file?"),
)
"""What to type behind the command, and what it does."""

INDENT = 28
"""Where the words begin that tell of an option."""

NARROW_INDENT = 10
"""Where they begin, below the option's name, on a terminal too narrow for that."""

LEAST = 24
"""How many characters they get at the least."""


def printText(text: str) -> None:
    """
    Print a text that is all there is to print.  Who reads no more of it, as C{head} does, has seen enough.

    @raise SystemExit: if it cannot be written.
    """
    showAnything(sys.stdout, "backslashreplace")
    try:
        print(text, flush=True)
    except BrokenPipeError:
        discardOutput(sys.stdout)
    except OSError as error:
        discardOutput(sys.stdout)
        raise SystemExit(f"standard output cannot be written: {error.strerror}") from error


def showAnything(stream: TextIO | None, errors: str = "replace") -> None:
    """
    A letter that the terminal cannot show is no reason to fail.

    @param errors: what becomes of it (L{codecs}).
    """
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors=errors)


def oneLine(text: str) -> str:
    """A text as a line of a message: what would end the line, or do something to the terminal, is escaped."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def discardOutput(out: TextIO | None) -> None:
    """Send what is still in a buffer nowhere, as Python would complain at its end."""
    assert out is not None
    os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def formatHelp(command: str, width: int, table: OptionTable) -> str:
    """
    Write the help.

    @param command: what examples begin with.
    @param width: that of the terminal, in characters; one that is narrower than anybody reads is not made use of.
    @param table: the options.
    """
    width = max(width, NARROW_INDENT + LEAST)
    return "\n".join(_lines(command, width, table)) + "\n"


def _lines(command: str, width: int, table: OptionTable) -> Iterator[str]:
    yield ""
    yield fill(ABOUT, width)
    for group, options in table.groups():
        yield ""
        yield f"{group}:"
        for option in options:
            yield from _option(option, width)
    yield ""
    yield "Examples:"
    for arguments, does in EXAMPLES:
        yield from wrap(f"{command} {arguments}", width, initial_indent="  ", subsequent_indent="    ")
        yield from wrap(does, width, initial_indent="      ", subsequent_indent="      ")
    yield ""
    yield fill(f"Manual: {COMMAND}(8), finger.toml(5)", width)


def _option(option: Option, width: int) -> Iterator[str]:
    names = f"  {f'-{option.short},' if option.short else '   '} --{option.name}"
    names += f"={option.value}" if option.value else ""
    indent = INDENT if width >= INDENT + LEAST else NARROW_INDENT
    about = wrap(_about(option), width - indent)
    if len(names) >= indent - 1:
        yield names
        names = ""
    yield f"{names:<{indent}}{about[0]}"
    yield from (" " * indent + line for line in about[1:])


def _about(option: Option) -> str:
    """What an option is for, and what else there is to know of it."""
    more = [option.help]
    if option.repeated:
        more.append("Repeatable.")
    if option.off:
        more.append(f"[off: --{option.off}]")
    if option.defaultText:
        more.append(f"[default: {option.defaultText}]")
    return " ".join(more)
