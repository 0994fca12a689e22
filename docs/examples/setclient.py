"""Send a message to a setter port: printf 'guest\\nhere\\n' | python docs/examples/setclient.py localhost:1080"""

import socket
import sys

host, _, port = sys.argv[1].rpartition(":")
with socket.create_connection((host, int(port))) as connection:
    connection.sendall(sys.stdin.buffer.read())
    connection.shutdown(socket.SHUT_WR)
    print(connection.makefile(encoding="utf-8").read(), end="")
