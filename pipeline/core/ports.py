"""A port for the ranks of a stage to meet at."""

import contextlib
import secrets
import socket

PORTS = range(20_000, 32_000)
"""Below those that Linux gives to whoever asks for any (32,768 and above): a connection that another process opens
between the choice and its use cannot take one."""


def free_port() -> int:
    """A port of this machine that nobody listens on; random, so that two who choose at once do not get the same one."""
    while True:
        # Not of `random`, which two processes may have seeded alike.
        port = PORTS[secrets.randbelow(len(PORTS))]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
