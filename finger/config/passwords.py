"""
Passwords: their hashes, and the text of a password file.  No I/O.

A line of the file is C{user:password}.  The password is a hash in the PHC string format,
C{$scrypt$ln=15,r=8,p=1$SALT$HASH}, made by scrypt (RFC 7914), or plain text, which cannot contain a colon.  Salt and
hash are base64 (RFC 4648) without padding; C{ln} is the binary logarithm of the cost N.
"""

from __future__ import annotations

import re
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b, scrypt
from hmac import compare_digest
from typing import Final, Self

COMMAND: Final = "twisted-finger --hash-password"
"""The command that makes a line."""

LN: Final = 15
"""The cost of new hashes, as a binary logarithm: 32 MiB, and about 0.1 s of a processor."""

R: Final = 8
P: Final = 1

MAX_LN: Final = 17
MAX_R: Final = 8
MAX_P: Final = 4
"""The maximum parameters of a hash in the file.  They bound what one login costs: 128 MiB, and about 2 s."""

MAX_PASSWORD: Final = 1024
"""The maximum length of a password to hash, in bytes."""

_BASE64: Final = rb"([A-Za-z0-9+/]{%d,88})"
_HASH: Final = re.compile(
    rb"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$" + _BASE64 % 11 + rb"\$" + _BASE64 % 22, re.ASCII
)
_OTHER_HASH: Final = re.compile(rb"\$[\w-]+\$|\{[\w-]+\}", re.ASCII)
"""The beginnings of hashes made by crypt(3), htpasswd(1) and LDAP servers."""

_LOCKED: Final = frozenset((b"x", b"*", b"!", b"!!", b"*LK*", b"*NP*"))
"""What passwd(5) and shadow(5) have in place of a password."""


@dataclass(frozen=True, slots=True)
class Hash:
    """
    The hash of a password.

    @ivar ln: the binary logarithm of scrypt's cost parameter N.
    @ivar r: its block size.
    @ivar p: its parallelization.
    @ivar salt: the salt.
    @ivar digest: the result.
    """

    ln: int
    r: int
    p: int
    salt: bytes
    digest: bytes

    @classmethod
    def make(cls, password: bytes) -> Self:
        """Hash a password with a new salt."""
        salt = secrets.token_bytes(16)
        return cls(LN, R, P, salt, _derive(password, salt, LN, R, P, 32))

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """
        Parse a hash.

        @raise ValueError: if it is not valid, or its parameters exceed the maximum.
        """
        match = _HASH.fullmatch(text)
        if match is None or any(len(part) % 4 == 1 for part in match.groups()[3:]):
            raise ValueError("the hash is not complete")
        ln, r, p = (int(number) for number in match.groups()[:3])
        if not (1 <= ln <= MAX_LN and 1 <= r <= MAX_R and 1 <= p <= MAX_P):
            raise ValueError(f"the parameters of the hash exceed ln={MAX_LN},r={MAX_R},p={MAX_P}, or are 0")
        return cls(ln, r, p, _fromBase64(match[4]), _fromBase64(match[5]))

    def __str__(self) -> str:
        return f"$scrypt$ln={self.ln},r={self.r},p={self.p}${_toBase64(self.salt)}${_toBase64(self.digest)}"

    def matches(self, password: bytes) -> bool:
        """Return whether a password is right.  The time depends on the parameters only."""
        found = _derive(password, self.salt, self.ln, self.r, self.p, len(self.digest))
        return compare_digest(found, self.digest)


_STAND_IN: Final = Hash(LN, R, P, bytes(16), bytes(32))
"""The hash in place of a password in plain text, so that the check costs the same."""


Problems = tuple[tuple[int, str], ...]
"""The numbers of the lines that are not valid, each with the reason."""


class Passwords:
    """
    The passwords in a file.

    @param entries: the password of each user: a hash, or plain text.
    @param problems: the lines that are not valid, and are left out.
    @ivar entries: see above.
    @ivar problems: see above.
    """

    def __init__(self, entries: Mapping[bytes, Hash | bytes], problems: Problems = ()) -> None:
        self.entries = entries
        self.problems = problems
        hashes = [entry if isinstance(entry, Hash) else _STAND_IN for entry in entries.values()]
        self._hashes = hashes or [_STAND_IN]
        self._key = secrets.token_bytes(16)

    def matches(self, user: bytes, password: bytes) -> bool:
        """Return whether a password is right.  An unknown user takes as long as one of the known ones."""
        entry = self.entries.get(user)
        isRight = (entry if isinstance(entry, Hash) else self._hashFor(user)).matches(password)
        if isinstance(entry, bytes):
            return compare_digest(entry, password)
        return isRight and entry is not None

    def countPlain(self) -> int:
        """Return the number of passwords in plain text."""
        return sum(isinstance(entry, bytes) for entry in self.entries.values())

    def _hashFor(self, user: bytes) -> Hash:
        """
        Return the hash to compute for a user without one, always the same.  For an unknown user it is that of some
        other user, since hashes with different parameters take different times.
        """
        if user in self.entries:
            return _STAND_IN
        digest = blake2b(user, key=self._key, digest_size=8).digest()
        return self._hashes[int.from_bytes(digest, "big") % len(self._hashes)]


def parsePasswords(content: bytes) -> Passwords:
    """
    Parse a password file.  Empty lines and lines that begin with C{#} are ignored.  White space at the end of a line
    is not part of the password.
    """
    entries: dict[bytes, Hash | bytes] = {}
    problems = []
    for number, line in _lines(content):
        try:
            user, password = _parseLine(line)
            if user in entries:
                raise ValueError("this user has a password on an earlier line")
            entries[user] = password
        except ValueError as problem:
            problems.append((number, str(problem)))
    return Passwords(entries, tuple(problems))


def checkUser(user: str) -> None:
    """
    Check that a user can be named in a password file.

    @raise ValueError: if not.
    """
    if not user:
        raise ValueError("the user name is empty")
    if user != user.strip() or not user.isprintable() or ":" in user or user.startswith("#"):
        raise ValueError("a user name here has printable characters only, no colon, no first # and no outer spaces")


def formatLine(user: str, password: bytes) -> str:
    """
    Return the line of a password file for a user, with the password's hash.

    @raise ValueError: if the name or password is not valid.
    """
    checkUser(user)
    if not 1 <= len(password) <= MAX_PASSWORD:
        raise ValueError(f"a password has 1 to {MAX_PASSWORD} bytes")
    return f"{user}:{Hash.make(password)}"


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for number, line in enumerate(lines, 1):
        line = line.rstrip()
        if line and not line.startswith(b"#"):
            yield number, line


def _parseLine(line: bytes) -> tuple[bytes, Hash | bytes]:
    user, colon, password = line.partition(b":")
    if not colon:
        raise ValueError("expected 'user:password'")
    try:
        checkUser(user.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("the user name is not UTF-8") from None
    return user, _parsePassword(password)


def _parsePassword(text: bytes) -> Hash | bytes:
    if text.startswith(b"$scrypt$"):
        return Hash.parse(text)
    if not text:
        raise ValueError("the password is empty")
    if _OTHER_HASH.match(text):
        raise ValueError(f"this kind of hash is not supported; use the output of '{COMMAND} USER'")
    if text in _LOCKED:
        raise ValueError("this is not a password; remove the line to refuse the user")
    if b":" in text:
        raise ValueError(f"a password in plain text has no colon; use the output of '{COMMAND} USER'")
    return text


def _derive(password: bytes, salt: bytes, ln: int, r: int, p: int, length: int) -> bytes:
    # OpenSSL counts a little more than the 128 * N * r bytes of the algorithm.
    return scrypt(password, salt=salt, n=1 << ln, r=r, p=p, dklen=length, maxmem=(128 * r << ln) + 2**20)


def _toBase64(content: bytes) -> str:
    return b64encode(content).rstrip(b"=").decode()


def _fromBase64(text: bytes) -> bytes:
    return b64decode(text + b"=" * (-len(text) % 4))
