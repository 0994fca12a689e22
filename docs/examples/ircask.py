"""Ask the bot on IRC for a user: python docs/examples/ircask.py localhost:6667 fingerbot moshez"""

import socket
import sys
import time

address, bot, user = sys.argv[1:]
host, _, port = address.rpartition(":")
with socket.create_connection((host, int(port))) as connection:

    def say(line):
        connection.sendall(f"{line}\r\n".encode())

    say("NICK curious")
    say("USER curious 0 * :Curious")
    for line in connection.makefile(encoding="utf-8"):
        prefix, command, *rest = f":- {line}".split(maxsplit=2) if line.startswith("PING") else line.split(maxsplit=2)
        if command == "PING":
            say(f"PONG {rest[0]}")
        elif command == "001":  # Welcome.
            say(f"PRIVMSG {bot} :{user}")
        elif command == "401":  # The bot is not there yet.
            time.sleep(1)
            say(f"PRIVMSG {bot} :{user}")
        elif command == "NOTICE" and prefix.startswith(f":{bot}!"):
            print(rest[0].partition(" :")[2].strip())
            break
