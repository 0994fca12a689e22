"""A bare aiohttp server of one page, the contents of a file; with the further argument C{uvloop}, on uvloop."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from aiohttp import web

BODY = Path(sys.argv[1]).read_bytes()


async def answer(request: web.Request) -> web.Response:
    return web.Response(body=BODY, content_type="text/html", charset="utf-8")


async def main() -> None:
    application = web.Application()
    application.router.add_get("/{user:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "0.0.0.0", 0, backlog=4096).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if sys.argv[2:] == ["uvloop"]:
    import uvloop

    uvloop.run(main())
else:
    asyncio.run(main())
