"""The help of C{twistd finger}, wrapped to the width of the terminal, and printing to standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from io import TextIOWrapper
from textwrap import fill, wrap
from typing import TextIO

from finger.config.options import COMMAND, Option, OptionTable

ABOUT = (
    "Finger server (RFC 1288) for IPv4 and IPv6, with web, XML-RPC, IRC and Perspective Broker adapters. "
    "Options can be set on the command line, as FINGER_OPTION in the environment, and in a configuration file. "
    "A PORT is a number, for IPv4 and IPv6; 'systemd:NAME', for sockets passed by systemd; 'none'; or a Twisted "
    "endpoint string such as 'tcp:79:interface=192.0.2.1'."
)

EXAMPLES = (
    ("--file=/etc/users --ircnick=fingerbot", "serve finger on port 79 and the web on port 8000, and run an IRC bot"),
    ("--backend=local --fingerport=1079 --webport=none --pbport=none", "serve this machine's users without root"),
    ("--config=/etc/finger/finger.toml --check-config", "check a configuration file"),
)
"""Example arguments of the command, and what they do."""

INDENT = 28
"""The column where an option's help text begins."""

NARROW_INDENT = 10
"""The column where the text begins on a terminal too narrow for L{INDENT}: it stands below the option's name."""

LEAST = 24
"""The least width of the text, in characters."""


def printText(text: str, errors: str = "backslashreplace") -> None:
    """
    Print a command's whole output.  A closed pipe is no error: C{head}, for example, stops reading early.

    @param errors: the error handler for characters that the output's encoding does not have (L{codecs}).
    @raise SystemExit: if the text cannot be written.
    """
    showAnything(sys.stdout, errors)
    try:
        print(text, flush=True)
    except BrokenPipeError:
        discardOutput(sys.stdout)
    except OSError as error:
        discardOutput(sys.stdout)
        raise SystemExit(f"standard output cannot be written: {error.strerror}") from error


def showAnything(stream: TextIO | None, errors: str = "replace") -> None:
    """
    Keep a stream from failing at characters that its encoding does not have.

    @param errors: the error handler for such characters (L{codecs}).
    """
    if isinstance(stream, TextIOWrapper):
        stream.reconfigure(errors=errors)


def oneLine(text: str) -> str:
    """Return a text with line breaks and control characters escaped, so that a message stays one line."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def discardOutput(out: TextIO | None) -> None:
    """Discard what is still buffered, so that Python does not report a failed flush at exit."""
    assert out is not None
    os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def formatHelp(command: str, width: int, table: OptionTable) -> str:
    """
    Return the help.

    @param command: the command that the examples begin with.
    @param width: the terminal's width, in characters; a minimum applies.
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
    about = wrap(_about(option), width - indent, break_on_hyphens=False)
    if len(names) >= indent - 1:
        yield names
        names = ""
    yield f"{names:<{indent}}{about[0]}"
    yield from (" " * indent + line for line in about[1:])


def _about(option: Option) -> str:
    """Return an option's help text with its default, and whether it can be repeated or turned off."""
    more = [option.help]
    if option.repeated:
        more.append("Repeatable.")
    if option.off:
        more.append(f"[off: --{option.off}]")
    if option.defaultText:
        more.append(f"[default: {option.defaultText}]")
    return " ".join(more)
