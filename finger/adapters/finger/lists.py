"""The user list, made in pieces between which other connections have a turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from finger.profile import Profile
from finger.protocol.wire import formatAnswer, formatList

USERS: Final = 2000
"""The most users in a piece; they take some 2 ms in the short form."""

LENGTH: Final = 64 * 1024
"""The length from which a piece is complete, in characters.  The slowest text of this length takes some 7 ms."""

MAX_LIST: Final = 16 * 2**20
"""The maximum length of the long form of the user list, in characters; it ends with the user that exceeds it."""

LEFT_OUT: Final = "[The rest is left out: the answer is longer than {} characters.]"


def shortPieces(profiles: Sequence[Profile]) -> Iterator[str]:
    """Generate the pieces of the short form.  That of no users has one piece, which says so."""
    for start in range(0, max(len(profiles), 1), USERS):
        yield f"{formatList(profiles[start : start + USERS])}\n"


def longPieces(profiles: Sequence[Profile]) -> Iterator[str]:
    """Generate the pieces of the long form, up to a maximum length."""
    answers: list[str] = []
    length = total = 0
    for profile in profiles:
        if total > MAX_LIST:
            answers.append(LEFT_OUT.format(MAX_LIST))
            break
        if length >= LENGTH or len(answers) == USERS:
            yield "\n\n".join([*answers, ""])
            answers, length = [], 0
        answers.append(formatAnswer(profile, verbose=True))
        length += len(answers[-1])
        total += len(answers[-1])
    yield "\n\n".join(answers)


async def encodePieces(
    pieces: Iterator[str], encode: Callable[[str], bytes], clock: IReactorTime | None, banner: str = ""
) -> bytes:
    """
    Encode a list, one piece in each turn of the reactor.

    @param pieces: the pieces, each with its line ends; the last one may lack its own.
    @param encode: encodes a text, which it ends with a line end if there is none.
    @param clock: the clock; L{None} for all pieces at once.
    @param banner: the administrator's text before the list; empty for none.
    @return: the list.
    """
    encoded = [encode(f"{banner}\n")] if banner else []
    for piece in pieces:
        if encoded and clock is not None:
            await deferLater(clock, 0)
        encoded.append(encode(piece))
    return b"".join(encoded)
