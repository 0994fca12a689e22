"""The types of options' values, from a command line, the environment or a file."""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from finger.config.checkers import makeChecker
from finger.profile import FIELD_OF_ATOM
from finger.protocol.hosts import parseHost, parseNetwork

MAX_DIGITS: Final = 18
"""The maximum length of a whole number, in decimal digits.  Such a number fits into 64 bits and into a message."""


class Kind:
    """
    The type of an option's value.  This one is any text.

    @ivar choices: the values that a shell completes.
    @ivar completes: the kind of path that a shell completes: C{files}, C{directories}, or empty for none.
    """

    choices: tuple[str, ...] = ()

    def __init__(self, completes: str = "", choices: tuple[str, ...] = ()) -> None:
        self.completes = completes
        self.choices = choices

    def read(self, value: object) -> Any:
        """
        Read a value.

        @param value: a text, or any value of TOML from a configuration file.
        @return: the value in the form of the configuration file.
        @raise ValueError: if it is invalid; the message describes a valid value.
        """
        if not isinstance(value, str):
            raise ValueError("should be a text, in quotes")
        _refuseNUL(value)
        return value

    def toField(self, value: Any) -> Any:
        """Return the value of the field of L{Config} for a value that L{read} returned."""
        return value

    def fromField(self, value: Any) -> Any:
        """Return the value in the form of the configuration file; the inverse of L{toField}, for defaults."""
        return value


class NeededFile(Kind):
    """The path of a file; it must not be empty."""

    def __init__(self) -> None:
        super().__init__("files")

    def read(self, value: object) -> str:
        """See L{Kind.read}."""
        if not isinstance(value, str) or not value:
            raise ValueError("should name a file")
        _refuseNUL(value)
        return value


class Switch(Kind):
    """
    On or off.

    @param inverted: whether C{on} means that the field is L{False}.
    """

    _WORDS: Final = dict.fromkeys(("true", "yes", "on", "1"), True) | dict.fromkeys(
        ("false", "no", "off", "0"), False
    )

    def __init__(self, inverted: bool = False) -> None:
        super().__init__(choices=("true", "false"))
        self._inverted = inverted

    def read(self, value: object) -> bool:
        """See L{Kind.read}."""
        if isinstance(value, str):
            value = self._WORDS.get(value.lower(), value)
        if not isinstance(value, bool):
            raise ValueError("should be true or false")
        return value

    def toField(self, value: bool) -> bool:
        """See L{Kind.toField}."""
        return value != self._inverted

    fromField = toField


class Port(Kind):
    """
    A stream port: a number, or a text.

    @param loopback: whether a number means that port on loopback.
    @param onlyLoopback: whether only ports that other machines cannot reach are valid.
    @ivar loopback: see above.
    @ivar onlyLoopback: see above.
    """

    def __init__(self, loopback: bool = False, onlyLoopback: bool = False) -> None:
        super().__init__()
        self.loopback = loopback or onlyLoopback
        self.onlyLoopback = onlyLoopback

    def read(self, value: object) -> str:
        """See L{Kind.read}.  L{finger.net.ports} checks the text."""
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise ValueError("should be a number, an endpoint string such as 'tcp:79:interface=192.0.2.1', or 'none'")
        text = str(value)
        _refuseNUL(text)
        return text


class DatagramPort(Port):
    """A UDP port: a number, or C{none}."""

    def read(self, value: object) -> str:
        """See L{Kind.read}."""
        text = "" if isinstance(value, bool) else str(value)
        if text != "none" and not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
            raise ValueError("should be a number from 0 to 65535, or 'none'")
        return text


class Network(Kind):
    """An address or a network."""

    def read(self, value: object) -> str:
        """See L{Kind.read}."""
        parseNetwork(str(value))
        return str(value)


class Host(Kind):
    """The name or the address of a host."""

    def read(self, value: object) -> str:
        """See L{Kind.read}."""
        return parseHost(str(value))


class Whole(Kind):
    """
    A whole number.

    @param least: the least valid value.
    """

    def __init__(self, least: int) -> None:
        super().__init__()
        self._least = least

    def read(self, value: object) -> int:
        """See L{Kind.read}."""
        text = "" if isinstance(value, bool) else str(value)
        isNumber = text.isascii() and text.isdigit()
        if isNumber and len(text) > MAX_DIGITS:
            raise ValueError(f"should be a number of at most {MAX_DIGITS} digits")
        if not isNumber or int(text) < self._least:
            raise ValueError(f"should be a number, {self._least} or more")
        return int(text)


class WholeOrNone(Whole):
    """A whole number, or C{none}, which is L{None} in the configuration."""

    def read(self, value: object) -> Any:
        """See L{Kind.read}."""
        return value if value == "none" else super().read(value)

    def toField(self, value: Any) -> int | None:
        """See L{Kind.toField}."""
        return None if value == "none" else value

    def fromField(self, value: int | None) -> Any:
        """See L{Kind.fromField}."""
        return "none" if value is None else value


class Number(Kind):
    """
    A number.

    @param least: the least valid value; if L{None}, any number greater than 0 is valid.
    """

    def __init__(self, least: float | None = None) -> None:
        super().__init__()
        self._least = least

    def read(self, value: object) -> float:
        """See L{Kind.read}."""
        try:
            number = float("nan" if isinstance(value, bool) else str(value))
        except ValueError:
            number = float("nan")
        if not (isfinite(number) and (number > 0 if self._least is None else number >= self._least)):
            expected = "a number greater than 0" if self._least is None else f"a number, {self._least:g} or more"
            raise ValueError(f"should be {expected}")
        return number


class Atoms(Kind):
    """Fields of a user to disclose: their names, separated by commas, or a list."""

    def __init__(self) -> None:
        super().__init__(choices=tuple(FIELD_OF_ATOM))

    def read(self, value: object) -> str:
        """See L{Kind.read}."""
        texts = value.split(",") if isinstance(value, str) else value
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise ValueError("should be a text such as 'name,plan'")
        atoms = {text.strip() for text in texts} - {""}
        unknown = sorted(atoms.difference(FIELD_OF_ATOM))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is not a field of a user; choose from {','.join(FIELD_OF_ATOM)}")
        return ",".join(sorted(atoms))

    def toField(self, value: str) -> frozenset[str]:
        """See L{Kind.toField}."""
        return frozenset(value.split(",")) - {""}

    def fromField(self, value: frozenset[str]) -> str:
        """See L{Kind.fromField}."""
        return ",".join(sorted(value))


class Choice(Kind):
    """One of the choices."""

    def read(self, value: object) -> str:
        """See L{Kind.read}."""
        if value not in self.choices:
            raise ValueError(f"should be one of {', '.join(self.choices)}")
        return str(value)


class Checker(Kind):
    """A credentials checker, of any type that L{twisted.cred.strcred} finds."""

    def toField(self, value: str) -> Any:
        """
        See L{Kind.toField}.

        @raise ValueError: if the checker cannot be made.
        """
        return makeChecker(value)


def _refuseNUL(text: str) -> None:
    """Refuse a NUL character, which ends a text in C and is invalid in a file's name and in every other value."""
    if "\0" in text:
        raise ValueError("should have no NUL character")
