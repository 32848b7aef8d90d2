"""How long the machine's resolver may look for a name.

getaddrinfo(3) takes no deadline. Left alone, glibc asks each name server twice and waits 5 s each time, and does so for
each search domain: a minute where three servers are silent (resolv.conf(5), `timeout` and `attempts`). With 1 s it
gives up in 2 s with one server, in 12 s with three and two search domains; what is slow to come is asked for again by
the retries of the request that wants it, as long as its deadline allows. Other C libraries have bounds of their own.
"""

import os

_OPTIONS = "timeout:1 attempts:2"


def bound_lookups() -> None:
    """Have names looked up no longer than that in this process, unless its environment says how long."""
    os.environ.setdefault("RES_OPTIONS", _OPTIONS)
