"""A tiny web site for stage 10 to read from: one page for each user, nothing else."""

import os

from twisted.internet import reactor
from twisted.web.pages import notFound
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data

PORT = 8079 + int(os.environ.get("FINGER_PORT_OFFSET", "0"))
PAGES = {b"moshez": b"Happy and well", b"postmaster": b"Reading the mail\nof the day"}


class Statuses(Resource):
    def getChild(self, path: bytes, request: object) -> Resource:
        if path in PAGES:
            return Data(PAGES[path], "text/plain; charset=utf-8")
        return notFound()


reactor.listenTCP(PORT, Site(Statuses()), interface="127.0.0.1")
reactor.run()
