"""A bare twisted.spread server of one method, getUser."""

from __future__ import annotations

from twisted.spread import pb

from bench.peers.listening import serve

STATUS = "Happy and well"


class Users(pb.Root):
    def remote_getUser(self, user: str) -> str:
        return STATUS


factory = pb.PBServerFactory(Users())
serve(factory)
