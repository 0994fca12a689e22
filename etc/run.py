"""
Run the service for `make run`: the sample users, unprivileged ports, and a command to try each adapter.

make sets the ports in the environment: FINGERPORT, WEBPORT, HTTPSPORT, PBPORT, SETPORT.
"""

import os
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.scripts.twistd import run

HERE = Path(__file__).resolve().parent
PYTHON = os.path.relpath(sys.executable)

XMLRPC = "from xmlrpc.client import ServerProxy as S; print(S('http://localhost:{WEBPORT}/RPC2').getUser('moshez'))"
LINES = {
    "FINGERPORT": "{python} -m finger -p {FINGERPORT} moshez@localhost",
    "WEBPORT": "curl http://localhost:{WEBPORT}/moshez\n{python} -c " + f'"{XMLRPC}"',
    "HTTPSPORT": "curl --insecure https://localhost:{HTTPSPORT}/moshez",
    "PBPORT": "{python} {examples}/pbclient.py localhost:{PBPORT} moshez",
    "SETPORT": "printf 'guest\\nhere today\\n' | {python} {examples}/setclient.py localhost:{SETPORT}",
}


def arguments(ports):
    """Return the command line: users of the file first, then those set at run time."""
    return [
        *("--backend=file", f"--file={HERE / 'users'}", "--backend=memory", "--ssl"),
        *(f"--fingerport={ports['FINGERPORT']}", f"--webport={ports['WEBPORT']}"),
        *(f"--httpsport={ports['HTTPSPORT']}", f"--pbport={ports['PBPORT']}", f"--setport={ports['SETPORT']}"),
    ]


def lines(ports):
    """Return a command for each adapter, to be pasted into another terminal."""
    examples = os.path.relpath(HERE.parent / "docs" / "examples")
    return [LINES[name].format(python=PYTHON, examples=examples, **ports) for name in LINES]


def main():
    ports = {name: os.environ[name] for name in LINES}
    title = "\nTry these in another terminal; press Ctrl-C here to stop the service."
    reactor.callWhenRunning(lambda: print(title, *lines(ports), "", sep="\n", file=sys.__stdout__, flush=True))
    sys.argv = ["twistd", "--nodaemon", "--pidfile=", "finger", *arguments(ports)]
    try:
        run()
    except SystemExit as end:
        if isinstance(end.code, str):
            taken = [name for name, port in ports.items() if port.isdigit() and f"={port}:" in end.code]
            end.code += "".join(f" (as in: make run {name}={int(ports[name]) + 1000})" for name in taken)
        raise


main()
