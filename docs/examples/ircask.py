"""Ask the bot on IRC for a user: python docs/examples/ircask.py localhost:6667 fingerbot moshez"""

import socket
import sys
import time

address, bot, user = sys.argv[1:]
host, _, port = address.rpartition(":")
attempts = 30
with socket.create_connection((host, int(port)), timeout=60) as connection:

    def say(line):
        connection.sendall(f"{line}\r\n".encode())

    say("NICK curious")
    say("USER curious 0 * :Curious")
    for line in connection.makefile(encoding="utf-8"):
        words = line.split()
        if words[0] == "PING":
            say(f"PONG {words[1]}")
        elif words[1] == "001":  # The server welcomes us.
            say(f"PRIVMSG {bot} :{user}")
        elif words[1] == "401" and attempts:  # The bot is not there yet.
            attempts -= 1
            time.sleep(1)
            say(f"PRIVMSG {bot} :{user}")
        elif words[1] == "401":
            sys.exit(f"{bot} is not there")
        elif words[1] == "NOTICE" and words[0].startswith(f":{bot}!"):
            print(line.split(" :", 1)[1].strip())
            break
