# A finger server for `twistd -y` instead of `twistd finger`: sudo /opt/finger/bin/twistd -ny etc/finger.tac
#
# A Config takes the place of the options of `twistd finger`; finger/config/model.py describes its fields.

import sys

from twisted.application.service import Application
from twisted.internet import reactor

from finger import Config, openService
from finger.errors import ConfigError
from finger.ops.privileges import unprivileged

config = Config(
    backends=("file:/etc/users",),
    fingerPorts=("79",),
    webPorts=("8000",),
    pbPorts=("none",),
)

# Started as root, it opens its ports and then drops root's privileges.
try:
    uid, gid = unprivileged() or (None, None)
    server = openService(config, reactor)
except ConfigError as error:
    sys.exit(f"finger.tac: {error}")
application = Application("finger", uid=uid, gid=gid)
server.setServiceParent(application)
