"""What knows passwords, by name: L{twisted.cred.strcred}, and what a server in the open will not have of it."""

from __future__ import annotations

from twisted.cred import strcred
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword


def makeChecker(description: str) -> ICredentialsChecker:
    """
    Make what C{--auth=TYPE[:ARGUMENT]} asks for.

    @raise ValueError: if there is no such thing, it cannot be read, or it knows no passwords.
    """
    kind, _, argument = description.partition(":")
    try:
        if kind == "memory":
            raise ValueError("a command line is for everybody to read; put the passwords into a file")
        if kind == "file" and argument:
            open(argument).close()
        checker: ICredentialsChecker = strcred.makeChecker(description)
    except (strcred.InvalidAuthType, strcred.InvalidAuthArgumentString, ValueError, OSError) as error:
        raise ValueError(f"is no way to log in that can be used ({error})") from error
    if IUsernamePassword not in checker.credentialInterfaces:
        raise ValueError("is no way to log in that can be used (it does not take passwords)")
    return checker
