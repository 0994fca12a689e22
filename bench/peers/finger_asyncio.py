"""A finger server on asyncio's Protocol, or with the argument C{uvloop}, on uvloop."""

from __future__ import annotations

import asyncio
import sys
from typing import cast

ANSWER = b"Login: alice  Name: Alice Liddell  Status: Happy and well.\r\n"


class FingerProtocol(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._line = b""

    def data_received(self, data: bytes) -> None:
        self._line += data
        if b"\n" in self._line:
            self._transport.write(ANSWER)
            self._transport.close()


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(FingerProtocol, "0.0.0.0", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if sys.argv[1:] == ["uvloop"]:
    import uvloop

    uvloop.run(main())
else:
    asyncio.run(main())
