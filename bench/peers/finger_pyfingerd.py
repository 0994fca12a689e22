"""pyfingerd with one user, in memory.  The arguments are the address and the port to listen on."""

from __future__ import annotations

import sys

from pyfingerd.core import FingerInterface, FingerUser
from pyfingerd.server import FingerServer

USER = FingerUser(login="user0", name="Alice Liddell", plan="Happy and well.\n")


class OneUser(FingerInterface):
    def search_users(self, query: str | None, active: bool | None) -> list[FingerUser]:
        return [USER] if query in (None, USER.login) else []


address, port = sys.argv[1:]
server = FingerServer(f"{address}:{port}", interface=OneUser())
print(port, flush=True)
server.serve_forever()
