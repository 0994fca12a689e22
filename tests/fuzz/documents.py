"""XML documents: valid calls of XML-RPC in every way of writing them, and hostile ones."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from hypothesis import strategies as st

from finger.adapters.xmlrpc.messages import Other, Value
from tests.fuzz.inputs import METHOD_NAMES, mutated


@dataclass(frozen=True)
class Written:
    """
    A value, and one way of writing it.

    @ivar value: the value.
    @ivar text: what is between C{<value>} and C{</value>}.
    @ivar count: the number of values that are written, including members of a struct that a later one replaces.
    @ivar depth: the depth, in the same way.
    """

    value: Value
    text: str
    count: int = 1
    depth: int = 1


@dataclass(frozen=True)
class Document:
    """
    A call, and one way of writing it.

    @ivar method: the method's name.
    @ivar params: the parameters.
    @ivar body: the message.
    @ivar count: see L{Written}.
    @ivar depth: see L{Written}.
    """

    method: str
    params: tuple[Value, ...]
    body: bytes
    count: int
    depth: int


def _piece(style: int, text: str) -> tuple[str, str]:
    """Return a piece of text, and one way of writing it."""
    if style == 0:
        return text, "".join(f"&#{ord(c)};" if c != "a" else "&#x61;" for c in text)
    text = text.replace("\r", "")
    if style == 1 and text.isascii() and "]]>" not in text:
        return text, f"<![CDATA[{text}]]>"
    return text, escape(text) + ("<!-- &x; -->", "<?x <y> ?>", "")[style % 3]


_pieces = st.builds(_piece, st.integers(0, 4), st.text(st.sampled_from("a<&]>'\"\r\n \té☃\U0001f600"), max_size=6))
_texts = st.lists(_pieces, max_size=3).map(
    lambda pieces: ("".join(text for text, _ in pieces), "".join(written for _, written in pieces))
)
_gaps = st.sampled_from(("", "", "", " ", "\r\n\t", "<!-- <value> -->", "<?gap?>"))


def _array(gap: str, items: Sequence[Written]) -> Written:
    inner = "".join(f"<value>{item.text}</value>{gap}" for item in items)
    text = f"{gap}<array>{gap}<data>{gap}{inner}</data></array>{gap}"
    return Written([item.value for item in items], text, 1 + _count(items), 1 + _depth(items))


def _count(items: Sequence[Written]) -> int:
    return sum(item.count for item in items)


def _depth(items: Sequence[Written]) -> int:
    return max((item.depth for item in items), default=0)


def _struct(gap: str, members: Sequence[tuple[tuple[str, str], Written, bool]]) -> Written:
    inner = ""
    for (_, name), item, isLast in members:
        parts = [f"<name>{name}</name>", f"<value>{item.text}</value>"]
        inner += f"<member>{gap}{gap.join(parts[::-1] if isLast else parts)}{gap}</member>{gap}"
    items = [item for _, item, _ in members]
    value: Value = {name: item.value for (name, _), item, _ in members}
    return Written(value, f"<struct>{gap}{inner}</struct>{gap}", 1 + _count(items), 1 + _depth(items))


def _deep(levels: int, inner: Written) -> Written:
    for _ in range(levels):
        inner = _array("", [inner])
    return inner


_leaves = st.one_of(
    _texts.map(lambda pair: Written(pair[0], f"<string>{pair[1]}</string>")),
    _texts.map(lambda pair: Written(*pair)),
    st.sampled_from(("1", "9" * 5000, "", "x")).map(lambda text: Written(Other("int", text), f"<int>{text}</int>")),
    st.just(Written(Other("nil", ""), "<nil/>")),
)
values = st.one_of(
    st.recursive(
        _leaves,
        lambda inner: st.one_of(
            st.builds(_array, _gaps, st.lists(inner, max_size=3)),
            st.builds(_struct, _gaps, st.lists(st.tuples(_texts, inner, st.just(False)), max_size=3)),
        ),
        max_leaves=5,
    ),
    st.builds(_deep, st.sampled_from((5, 6, 7, 8, 100)), _leaves),
    st.builds(lambda count, item: _array("", [item] * count), st.sampled_from((253, 254, 255, 256, 1000)), _leaves),
)

ENCODINGS = (
    *(
        ("", "utf-8"),
        ("\ufeff", "utf-8"),
        ("<?xml version='1.0'?>", "utf-8"),
        ("\ufeff<?xml version='1.0'?>", "utf-8"),
    ),
    *(('<?xml version="1.1" encoding="UTF-8" standalone=\'yes\' ?>\n', "utf-8"), ("<!-- x -->", "utf-8")),
    ('<?xml version="1.0" encoding="iso-8859-1"?>', "latin-1"),
    ("<?xml version = '1.0'\tencoding = 'US-ASCII'?>", "ascii"),
)
"""What precedes a document, and its encoding."""


def _document(start: tuple[str, str], method: str, values: Sequence[Written], gap: str, attributes: str) -> Document:
    inner = "".join(f"<param>{gap}<value>{value.text}</value></param>{gap}" for value in values)
    text = f"{start[0]}<methodCall{attributes}><methodName>{escape(method)}</methodName>{gap}<params>{gap}{inner}"
    body = f"{text}</params>{gap}</methodCall>{gap}".encode(start[1], "xmlcharrefreplace")
    return Document(method, tuple(value.value for value in values), body, _count(values), _depth(values))


_methods = st.sampled_from(METHOD_NAMES).map(lambda name: name.decode().replace("&lt;", "<"))
documents = st.builds(
    _document,
    st.sampled_from(ENCODINGS),
    _methods,
    st.lists(values, max_size=3),
    _gaps,
    st.sampled_from(("", "", " xmlns:ex='http://ws.apache.org/xmlrpc/namespaces/extensions'", ' a="&lt;"')),
)
"""Calls, each written in one of many ways."""


def strings(value: Value) -> Iterator[str]:
    """Return the texts in a value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    else:
        yield value.text if isinstance(value, Other) else value


def count(value: Value) -> int:
    """Return the number of values in a value, including itself."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(count, inner))


def depth(value: Value) -> int:
    """Return the depth of a value."""
    levels, level = 0, [value]
    while level:
        levels += 1
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return levels


# Hostile ones.

_LAUGHS = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))
DOCTYPES = (
    *("<!DOCTYPE x>", "<!DOCTYPE methodCall []>", "<!DOCTYPE methodCall [<!ENTITY x 'ha'>]>"),
    *("<!DOCTYPE x SYSTEM 'file:///etc/passwd'>", "<!DOCTYPE x PUBLIC '-//x' 'http://192.0.2.1/x'>"),
    *("<!DOCTYPE x [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>", "<!DOCTYPE x [<!ENTITY % x SYSTEM 'y'> %x;]>"),
    *(f"<!DOCTYPE x [<!ENTITY l0 'ha'>{_LAUGHS}<!ENTITY x '&l9;'>]>", "<!DOCTYPE x [<!ENTITY x '&x;'>]>"),
    *(f"<!DOCTYPE x [<!ENTITY x '{'a' * 20_000}'>]>", "<!DOCTYPE x [<!ATTLIST methodCall a CDATA 'b'>]>"),
)
_CODECS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037", "latin-1", "cp1252")
_NAMES = ("utf-8", "utf-16", "utf-7", "cp037", "idna", "x" * 2000, "", "utf-8'", "UTF_8", "iso-8859-15", "\x00")
_WORDS = (
    *("&x;", "&l9;" * 50, "<![CDATA[", "]]>", "&#0;", "&#xD800;", "&#x110000;", "&lt;", "<!--", "-->", "<?", "--"),
    *("<value><array><data>" * 3000, "<x>" * 10_000, "\x1b", ""),
)


def _hostile(document: Document, prolog: str, codec: str, word: str, place: int, end: int) -> bytes:
    text = re.sub(r"\A\ufeff?(?:<\?xml[^>]*\?>)?", "", document.body.decode("utf-8", "replace"))
    at = text.find(">", place % len(text)) + 1
    return (prolog + text[:at] + word + text[at:]).encode(codec, "replace")[: end or None]


def _prolog(encoding: str | None, doctype: str) -> str:
    return ("" if encoding is None else f"<?xml version='1.0' encoding='{encoding}'?>") + doctype


_encodings = st.one_of(st.none(), st.sampled_from(_NAMES))
hostile = st.one_of(
    mutated(documents.map(lambda document: document.body)),
    st.builds(
        _hostile,
        documents,
        st.builds(_prolog, _encodings, st.just("")),
        st.sampled_from(_CODECS),
        st.sampled_from(_WORDS),
        st.integers(0, 3000),
        st.sampled_from((0, 0, 0, -1, -2, -3, 100, 101, 102)),
    ),
)
"""Documents with errors: in the encoding, references, nesting, or without their ends."""

withDoctype = st.builds(
    _hostile,
    documents,
    st.builds(_prolog, st.sampled_from((None, None, "utf-8", "us-ascii", "iso-8859-1")), st.sampled_from(DOCTYPES)),
    st.just("utf-8"),
    st.sampled_from(("", "", "&x;", "&l9;")),
    st.integers(0, 3000),
    st.just(0),
)
"""Documents with a document type, which most often declares entities, and with references to these."""
