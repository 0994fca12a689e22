"""The world a stage is run in: a directory with what it reads, and doubles of what it asks.

Every back end in it knows the same two users, `moshez` and `guest`.
"""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from .doubles import GUEST, Double, FingerServer, IRCServer, WebSite

HOST = "127.0.0.1"

USERS = f"""\
# The users of a test run. The next lines but one are no users at all.
this line has no colon
: neither has this one a name

moshez: Happy and well
postmaster (The Postmaster): Reading the mail
guest: {GUEST.replace(chr(10), chr(10) + "    ")}
a/b c?d#"e": All of one name
"""

PROGRAM = """\
#!/bin/sh
# Stands for the system's finger: the same words for the same users, and a list of what was asked.
printf '%s\\n' "$#:$*" >> "{calls}"
case "$1" in
  moshez) echo "Happy and well";;
  guest) printf 'Two lines, a <b>tag</b>\\nand a bell: \\a';;
  webmaster) printf 'Login: webmaster \\t\\t\\tName: The Webmaster\\nNo Plan.\\n';;
  *) echo "finger: $1: no such user." >&2;;
esac
"""


class World:
    """Made for one run of a stage, and gone with `close()`."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="finger-stage-"))
        self.directory.chmod(0o755)  # a stage started as root reads it as nobody
        self.users_file = self.directory / "users"
        self.write_users(USERS)
        self.calls_file = self.directory / "calls"
        self.calls_file.touch()
        self.calls_file.chmod(0o666)
        self.store = self.directory / "store"
        self.store.mkdir()
        self.store.chmod(0o777)  # whom a stage becomes writes there
        self._make_passwords()
        self.program = self.directory / "finger"
        self.program.write_text(PROGRAM.format(calls=self.calls_file))
        self.program.chmod(0o755)
        self.homes = self.directory / "homes"
        self.accounts_file = self.directory / "accounts"
        self._make_homes()
        self.irc = IRCServer()
        self.site = WebSite()
        self.remote = FingerServer()
        self.doubles: list[Double] = [self.irc, self.site, self.remote]

    def _make_homes(self) -> None:
        plans = {"moshez": "Happy and well", "guest": GUEST}
        homes = {}
        for user in "moshez", "guest", "planless", "fifo", "device", "huge", "linked", "foreign":
            home = self.homes / user
            home.mkdir(parents=True)
            homes[user] = str(home)
            if user in plans:
                (home / ".plan").write_text(plans[user])
        self.accounts_file.write_text(json.dumps(homes))

    def _make_passwords(self) -> None:
        """The password of each is the name, backwards."""
        with open(self.store / "passwords", "w") as passwords:
            for user in "moshez", "webmaster":
                password = user[::-1].encode()
                kept = hashlib.scrypt(password, salt=b"salt", n=4096, r=8, p=1).hex()
                passwords.write(f"{user}:salt${kept}\n")

    def write_users(self, text: str | bytes) -> None:
        """Change the users file, all at once: nobody reads half of it."""
        new = self.directory / "users.new"
        new.write_bytes(text.encode() if isinstance(text, str) else text)
        new.replace(self.users_file)

    def environment(self) -> dict[str, str]:
        """What tells a stage about this world."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("FINGER_")}
        return kept | {
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "FINGER_USERS": str(self.users_file),
            "FINGER_REREAD": "0.1",
            "FINGER_STORE": str(self.store / "users.sqlite"),
            "FINGER_PASSWORDS": str(self.store / "passwords"),
            "FINGER_IRC": f"{HOST}:{self.irc.port}",
            "FINGER_PROGRAM": str(self.program),
            "FINGER_PREFIX": f"http://{HOST}:{self.site.port}/",
            "FINGER_PAGE_TIMEOUT": "1",
            "FINGER_ASK_PORT": str(self.remote.port),
            "FINGER_ASK_TIMEOUT": "1",
        }

    def close(self) -> None:
        for double in self.doubles:
            double.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
