"""How the servers of the system are started: nginx, and finger servers under an inetd."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from pathlib import Path
from typing import Final

from bench.processes import NotMeasured
from bench.servers import Server, Start, waitForPort
from bench.setting import HERE, Running

NGINX: Final = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
error_log stderr;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    default_type "text/html; charset=utf-8";
    open_file_cache max=10;
    keepalive_requests 1000000;
    client_body_temp_path {directory};
    proxy_temp_path {directory};
    fastcgi_temp_path {directory};
    uwsgi_temp_path {directory};
    scgi_temp_path {directory};
    server {{
        listen {address}:{port} backlog=4096;
        location / {{ root {directory}; try_files /{page} =404; }}
    }}
}}
"""


def program(name: str, package: str) -> str:
    """
    Return the path of a program of the system.

    @raise NotMeasured: if it is not installed.
    """
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        raise NotMeasured(f"{name} is not installed: run 'sudo apt install {package}'")
    return path


def accountName() -> str:
    """Return the name of the account that this runs as, which finger servers of the system are asked for."""
    return pwd.getpwuid(os.getuid()).pw_name


def nginx(page: Path, running: Running) -> Server:
    """
    Start nginx.

    @param page: the file that it serves.
    """
    setting = running.setting
    binary, port = program("nginx", "nginx-light"), setting.freePort()
    configuration = setting.directory / "nginx.conf"
    configuration.write_text(
        NGINX.format(directory=page.parent, page=page.name, address=setting.network.ipv4, port=port)
    )
    process = running.start([binary, "-c", str(configuration), "-e", "stderr", "-p", str(setting.directory)])
    waitForPort(setting.network.ipv4, port)
    return Server(process, {"": port})


def underInetd(name: str, package: str) -> Start:
    """
    Return what starts a finger server under inetd.

    @param name: the server's program.
    @param package: the Debian package of that.
    """

    def start(running: Running) -> Server:
        setting = running.setting
        server, inetd = program(name, package), program("inetd", "openbsd-inetd")
        port = setting.freePort()
        configuration = setting.directory / f"{name}.conf"
        address = setting.network.ipv4
        configuration.write_text(f"{address}:{port} stream tcp nowait {accountName()} {server} {name}\n")
        # In the foreground, with no limit on the rate, and with the longest queue.
        command = [inetd, "-i", "-q", "4096", "-R", "10000000", str(configuration)]
        process = running.start([sys.executable, str(HERE / "reaper.py"), *command])
        waitForPort(address, port)
        return Server(process, {"": port})

    return start
