"""Fuzzing tests for the administrator's files, and for the client's URLs (docs/fuzzing.md)."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

from hypothesis import example, given
from hypothesis import strategies as st

from finger.access.aliases import AliasedFingerService, parseAliases
from finger.access.texts import MAX_BYTES, NAMES, Texts
from finger.backends.memory import MemoryFingerService
from finger.client.fingerurl import isURL, parseURL
from finger.client.targets import Target, parseTarget
from finger.errors import ConfigError, NoSuchUser
from finger.protocol.names import parseName
from finger.protocol.wire import clean, encode
from tests.fuzz.inputs import USER_LINES, mutated, tokens, tries
from tests.fuzz.peers import USERS, FuzzTestCase

_LINES = (
    *("web: moshez", "ceo: nasty", "web: empty", "a: ceo", "moshez: nasty", "nasty: nobody", "b:moshez", "c :zoë"),
    *("d: zoe\u0308", "zoe\u0308: moshez", "e: e", "f: ", ": moshez", "g h: moshez", "i: moshez nasty", "j: a@b"),
    *("k: moshez\r", "\tl: moshez ", "m:moshez:x", "#n: moshez", " # o", "p", "\u200bq: moshez", "/r: moshez"),
)
aliasFiles = st.one_of(
    st.lists(st.sampled_from(_LINES + USER_LINES), max_size=12).map(
        lambda lines: "\n".join(lines).encode("utf-8", "surrogateescape")
    ),
    tokens(*(b"web", b"moshez", b": ", b":", b"\n", b"\r\n", b" ", b"#", b"@", b"\xff", b"\x1b", b"\xef\xbb\xbf")),
    mutated(st.just(b"# x\nweb: moshez\nceo: nasty\n")),
)


class FilesTests(FuzzTestCase):
    """Tests for the files of L{finger.access.aliases} and L{finger.access.texts}."""

    @tries(60, "aliases", "problems", "no problems")
    @given(aliasFiles)
    @example(b"\xef\xbb\xbfweb: moshez")
    def test_aliases(self, content: bytes) -> None:
        """
        Each line is an alias, a problem, or nothing; names are valid, and an alias leads to no other alias.  A query
        for an alias has the answer for its user, unless a user has that name.
        """
        with self.quiet():
            aliases = parseAliases(content)
            lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
            texts = [line.decode("utf-8", "replace").strip() for line in lines]
            broken = {number for number, line in enumerate(lines, 1) if not _isUTF8(line)}
            used = {number for number, text in enumerate(texts, 1) if text and not text.startswith("#")} | broken
            self.assertEqual(len(aliases) + len(aliases.problems), len(used))
            self.assertEqual(len({number for number, _ in aliases.problems}), len(aliases.problems))
            for number, problem in aliases.problems:
                self.assertIn(number, used)
                self.assertTrue(problem.isprintable(), problem)
            for alias, user in aliases.users.items():
                self.assertEqual((parseName(alias), parseName(user)), (alias, user))
                self.assertNotIn(user, aliases.users)
            self.assertLeads(aliases.users)
            self.saw("aliases" if aliases.users else "no aliases")
            self.saw("problems" if aliases.problems else "no problems")

    def assertLeads(self, users: Any) -> None:
        """Check the answers to queries for aliases."""
        plain = MemoryFingerService(USERS)
        service = AliasedFingerService(plain, SimpleNamespace(userOf=users.get, readings=1))  # type: ignore[arg-type]
        for alias, user in users.items():
            name = alias if alias in USERS else user
            found: list[Any] = []
            service.getUser(alias).addBoth(found.append)
            if name in USERS:
                self.assertEqual(found, [self.successResultOf(plain.getUser(name))])
            else:
                self.assertTrue(found[0].check(NoSuchUser))

    def setUp(self) -> None:
        """Make a directory."""
        super().setUp()
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    @tries(60, "text", "refused")
    @given(
        st.sampled_from(NAMES),
        st.one_of(
            tokens(*(b"Hello", b" ", b"\n", b"\r\n", b"\t", b"\xff", b"\x1b[2J", b"\xef\xbb\xbf", b"\xe2\x80\xae")),
            st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
            st.integers(MAX_BYTES - 2, MAX_BYTES + 2).map(lambda size: b"x" * size),
        ),
    )
    @example("banner.txt", "\n\ufeff\u200b".encode())
    def test_texts(self, name: str, content: bytes) -> None:
        """Any file is a text that can be sent, or refused with one line."""
        path = self.directory / name
        with self.quiet():
            path.write_bytes(content)
            try:
                text = Texts(str(self.directory)).get(name)
            except ConfigError as error:
                self.saw("refused")
                self.assertTrue(str(error).isprintable(), error)
                isBlank = _isUTF8(content) and not clean(content.decode("utf-8-sig")).strip()
                self.assertTrue(isBlank or len(content) > MAX_BYTES or not _isUTF8(content))
            else:
                self.saw("text")
                self.assertClean(encode(text))
                self.assertTrue(text.strip())
            finally:
                path.unlink()


def _isUTF8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


_users = st.text(st.sampled_from("moshez/W @:%?#[]\r\n\0ë☃.~+\"'\\"), max_size=8)
_hosts = st.sampled_from(
    (
        *(("example.org", "example.org"), ("EXAMPLE.org", "EXAMPLE.org"), ("192.0.2.1", "192.0.2.1")),
        *(("[2001:db8::1]", "2001:db8::1"), ("[fe80::1%25eth0]", "fe80::1%eth0"), ("%65xample.org", "example.org")),
    )
)
"""Hosts, as they are written in URLs, and without any escapes."""


class URLTests(FuzzTestCase):
    """Tests for L{finger.client.fingerurl}."""

    @tries(100, "authority", "path", "port", "sent", "refused")
    @given(
        _users, _hosts, st.sampled_from(("", ":", ":79", ":1079")), st.booleans(), st.sampled_from(("", "~+.", "*"))
    )
    def test_forms(self, user: str, host: tuple[str, str], port: str, isPath: bool, safe: str) -> None:
        """A URL in either form, with any characters escaped, is the same as its parts; so is the query it makes."""
        with self.quiet():
            escaped = _escaped(user) if safe == "*" else quote(user, safe=safe)
            place = host[0] + port
            url = f"finger://{place}/{escaped}" if isPath else f"finger://{escaped}@{place}"
            found = parseURL(url)
            number = int(port[1:]) if port[1:] else None
            self.assertEqual((found.names, found.port), (user, number))
            self.assertEqual(found.host, parseURL(f"finger://{host[0]}").host)
            self.saw("path" if isPath else "authority")
            self.saw("port" if number else "no port")
            bare = f"[{host[1]}]" if ":" in host[1] else host[1]
            plain = f"{user}@{bare}{port if number else ''}"
            if not isURL(plain):
                wanted = _target(plain)
                self.assertEqual(_target(url), wanted, (url, plain))
                self.saw("refused" if wanted is None else "sent")

    @tries(100)
    @given(
        st.lists(
            st.sampled_from(("finger:", "//", "/", "@", ":", "[", "]", "%", "%zz", "%25", "h", "::1", "?", "#", " "))
        )
    )
    @example(["finger:", "//", "h", "/", "%zz"])
    def test_parseURL(self, parts: list[str]) -> None:
        """Any text is one URL, or L{ValueError} with one line that says what is right."""
        with self.quiet():
            text = "".join(parts)
            try:
                url = parseURL(text)
            except ValueError as error:
                self.assertTrue(str(error).isprintable(), error)
            else:
                self.assertTrue(url.host)
                self.assertIn(url.port or 79, range(1, 65536))
                self.assertTrue(isURL(text))
                self.assertEqual(len(re.findall("[?#]", text)), 0)


def _escaped(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


def _target(text: str) -> Target | None:
    """Return what the client sends where; L{None} if it refuses the argument."""
    try:
        return parseTarget(text, False)
    except ValueError:
        return None
