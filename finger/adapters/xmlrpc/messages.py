"""
XML-RPC messages: parsing bytes into calls, and formatting answers.  No I/O, no Twisted.

The grammar of calls, from U{http://xmlrpc.com/spec.md}, with some of its types left out::

    <methodCall>  ::= <methodName> [<params>]
    <params>      ::= <param>*
    <param>       ::= <value>
    <value>       ::= text | <string> | <array> | <struct> | <int> | ...
    <array>       ::= <data>
    <data>        ::= <value>*
    <struct>      ::= <member>*
    <member>      ::= <name> <value>

A document type is refused: it could declare entities, which expand a short message to a very long one.  Character
encodings other than three are refused before expat sees the message: for each unknown name, it asks Python for a
codec, and Python keeps the name for ever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NoReturn
from xml.parsers.expat import ExpatError, ParserCreate
from xmlrpc.client import Fault, escape

BAD_CALL: Final = 2
"""The Fault code of an invalid call."""

NO_NAME: Final = "a method's name is a string"
"""The Fault of a message with parameters and no method's name, such as a response."""

MAX_DEPTH: Final = 8
"""The maximum depth of a value: that of a text is 1, and that of a list of texts is 2."""

MAX_VALUES: Final = 256
"""The maximum number of values in a call, including lists and structs."""

ENCODINGS: Final = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "ascii",
    "ascii": "ascii",
    "iso-8859-1": "latin-1",
    "latin-1": "latin-1",
    "latin1": "latin-1",
}
"""Python's names of the character encodings that a message may declare, by the declared name in lower case."""

_DECLARATION: Final = re.compile(
    rb"""
    <\?xml \s++ version \s*+ = \s*+ (?: "1\.[0-9]+" | '1\.[0-9]+' )
    (?: \s++ encoding \s*+ = \s*+ (["']) ([A-Za-z][A-Za-z0-9._-]*+) \1 )?
    (?: \s++ standalone \s*+ = \s*+ (?: "yes" | 'yes' | "no" | 'no' ) )?
    \s*+ \?>
    """,
    re.VERBOSE,
)
"""The XML declaration (XML 1.0, production 23)."""

_OTHERS: Final = frozenset(("i4", "i8", "int", "boolean", "double", "dateTime.iso8601", "base64", "nil"))
"""The types that no method takes."""

_PARTS: Final[dict[str, frozenset[str]]] = {
    "": frozenset(("methodCall", "methodResponse")),
    "methodCall": frozenset(("methodName", "params")),
    "methodResponse": frozenset(("params",)),
    "params": frozenset(("param",)),
    "param": frozenset(("value",)),
    "value": frozenset(("string", "array", "struct")) | _OTHERS,
    "array": frozenset(("data",)),
    "data": frozenset(("value",)),
    "struct": frozenset(("member",)),
    "member": frozenset(("name", "value")),
}
"""The elements that each element may contain; the message itself has no name."""


@dataclass(frozen=True, slots=True)
class Other:
    """
    A value of a type that no method takes.

    @ivar type: the type, such as C{int}.
    @ivar text: the value as it was sent.
    """

    type: str
    text: str


Value = str | Other | list["Value"] | dict[str, "Value"]
"""A value in a call."""


@dataclass(frozen=True, slots=True)
class Call:
    """
    A call.

    @ivar method: the method's name.
    @ivar params: its parameters.
    """

    method: str
    params: tuple[Value, ...]


def parseCall(body: bytes) -> Call:
    """
    Parse a call, exactly once.

    @param body: the message; the caller bounds its length.
    @raise Fault: if it is not a call.
    """
    reader, parser = _Reader(), ParserCreate("utf-8")  # This overrides whatever encoding the message declares.
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.StartElementHandler = reader.start
    parser.CharacterDataHandler = reader.text
    parser.EndElementHandler = reader.end
    try:
        parser.Parse(_decoded(body), True)
    except (ExpatError, UnicodeDecodeError):
        _refuse()
    assert reader.call is not None
    return reader.call


def _decoded(body: bytes) -> str:
    """Return a message as text.  A zero byte is refused, as expat would take it for a sign of UTF-16."""
    start = len(b"\xef\xbb\xbf") if body.startswith(b"\xef\xbb\xbf") else 0
    encoding = "utf-8"
    if re.compile(rb"<\?xml\s").match(body, start):
        declaration = _DECLARATION.match(body, start) or _refuse()
        encoding = ENCODINGS.get((declaration[2] or b"utf-8").decode("ascii").lower()) or _refuse()
    if b"\0" in body:
        _refuse()
    return body.decode(encoding)


def _refuse(*details: object) -> NoReturn:
    raise Fault(BAD_CALL, "this is not an XML-RPC call") from None


@dataclass(slots=True)
class _Element:
    """An element that has begun: its name, its text, and the values of the elements in it by their names."""

    name: str
    texts: list[str] = field(default_factory=list)
    inner: list[tuple[str, Value]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def values(self) -> list[Value]:
        return [value for _, value in self.inner]

    def only(self) -> Value:
        """Return the value of the single element in this one."""
        if len(self.inner) != 1:
            _refuse()
        return self.inner[0][1]


class _Reader:
    """
    Builds a call from what expat finds.

    @ivar call: the call; L{None} until the end of the message.
    """

    def __init__(self) -> None:
        self.call: Call | None = None
        self._open = [_Element("")]
        self._depth = 0
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Begin an element.  Attributes are ignored: some clients declare a namespace."""
        if name not in _PARTS.get(self._open[-1].name, ()):
            _refuse()
        if name == "value":
            self._depth += 1
            self._count += 1
            if self._depth > MAX_DEPTH or self._count > MAX_VALUES:
                _refuse()
        self._open.append(_Element(name))

    def text(self, text: str) -> None:
        """Take text, which matters only in elements that have no others in them."""
        self._open[-1].texts.append(text)

    def end(self, name: str) -> None:
        """End an element."""
        element = self._open.pop()
        if name == "value":
            self._depth -= 1
        if name in _PARTS[""]:
            self.call = _callOf(element)
        else:
            self._open[-1].inner.append((name, _valueOf(element)))


def _valueOf(element: _Element) -> Value:
    """Return the value of an element."""
    name = element.name
    if name in _OTHERS:
        return Other(name, element.text)
    if name in ("params", "data"):
        return element.values
    if name in ("param", "array") or (name == "value" and element.inner):
        return element.only()
    if name == "struct":
        return {str(member["name"]): member["value"] for member in element.values if isinstance(member, dict)}
    return _parts(element, "name", "value") if name == "member" else element.text


def _parts(element: _Element, *names: str) -> dict[str, Value]:
    """Return the values of the elements in an element, each of which must be there once."""
    if sorted(name for name, _ in element.inner) != sorted(names):
        _refuse()
    return dict(element.inner)


def _callOf(element: _Element) -> Call:
    """Return the call that is a whole message."""
    if not element.inner:
        _refuse()
    names = [name for name, _ in element.inner]
    if "methodName" not in names:
        raise Fault(BAD_CALL, NO_NAME)
    parts = _parts(element, *dict.fromkeys(names))
    method, params = parts["methodName"], parts.get("params", [])
    assert isinstance(method, str)
    assert isinstance(params, list)
    return Call(method, tuple(params))


# Answers, byte for byte as C{xmlrpc.client} has them.


class Formatted(str):
    """A value that is already formatted."""

    __slots__ = ()


Answer = str | int | list["Answer"] | dict[str, "Answer"]
"""A value in an answer."""


def faultValue(fault: Fault) -> Answer:
    """Return a Fault as a value, which it is among the answers of C{system.multicall}."""
    return {"faultCode": fault.faultCode, "faultString": fault.faultString}


def formatValue(value: Answer) -> Formatted:
    """Format a value."""
    return Formatted(_formatted(value))


def _formatted(value: Answer) -> str:
    if isinstance(value, Formatted):
        return value
    if isinstance(value, str):
        return f"<value><string>{escape(value)}</string></value>\n"
    if isinstance(value, int):
        return f"<value><int>{value}</int></value>\n"
    if isinstance(value, list):
        return formatList("".join(map(_formatted, value)))
    members = (f"<member>\n<name>{name}</name>\n{_formatted(inner)}</member>\n" for name, inner in value.items())
    return f"<value><struct>\n{''.join(members)}</struct></value>\n"


def formatList(elements: str) -> Formatted:
    """Format a list of values that are formatted already, one after the other."""
    return Formatted(f"<value><array><data>\n{elements}</data></array></value>\n")


def formatResponse(value: Answer) -> bytes:
    """Format the response to a call."""
    return _response(f"<params>\n<param>\n{formatValue(value)}</param>\n</params>\n")


def formatFault(fault: Fault) -> bytes:
    """Format the response to a call that failed."""
    return _response(f"<fault>\n{formatValue(faultValue(fault))}</fault>\n")


def _response(content: str) -> bytes:
    return f"<?xml version='1.0'?>\n<methodResponse>\n{content}</methodResponse>\n".encode()
