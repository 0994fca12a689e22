"""Stage 35: the package: all that came before, as one that can be installed: `twistd finger`.

What twistd does with the plugin `finger` on its command line, this file does for `twistd -y`: the
same options, the same makeService. So instead of starting this file one can type

    twistd -n finger --file=etc/users --fingerport=1079 --webport=8000 --ssl --httpsport=1443
"""

import os
import sys
from pathlib import Path

from twisted.application import service

sys.path.append(str(Path(__file__).resolve().parent.parent))  # the package of this checkout
from finger.ops.privileges import unprivileged
from finger.tap import Options, makeService

OFFSET = int(os.environ.get("FINGER_PORT_OFFSET", "0"))
ETC = Path(__file__).resolve().parent.parent / "etc"
USERS = Path(os.environ.get("FINGER_USERS", ETC / "users")).resolve()
PORTS = {"fingerport": 1079, "webport": 8000, "httpsport": 1443, "pbport": 8889}

arguments = [f"--file={USERS}", "--backend=file", "--backend=memory", "--ssl"]
arguments += [f"--ircserver=tcp:{os.environ.get('FINGER_IRC', '127.0.0.1:6667')}"]
arguments += ["--ircnick=fingerbot", f"--setport={1080 + OFFSET}"]
if "FINGER_TEMPLATES" in os.environ:
    arguments += [f"--templates={os.environ['FINGER_TEMPLATES']}"]
for option, port in PORTS.items():
    for where in "tcp:{}:interface=127.0.0.1", r"tcp6:{}:interface=\:\:1":
        arguments.append(f"--{option}={where.format(port + OFFSET)}")

options = Options()
options.parseOptions(arguments)
uid, gid = unprivileged() or (None, None)
application = service.Application("finger", uid=uid, gid=gid)
makeService(options).setServiceParent(application)
