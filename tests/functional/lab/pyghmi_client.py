"""Runs calls on one pyghmi session: pyghmi keeps threads and sockets for good."""

import json
import sys

from pyghmi.exceptions import IpmiException
from pyghmi.ipmi.command import Command

job = json.load(sys.stdin)
try:
    # Bytes: with str credentials a second log-in of one process never returns.
    login = {"userid": b"admin", "password": job["password"].encode(), "port": job["port"]}
    session = Command(bmc="127.0.0.1", **login)
    results = [getattr(session, name)(*arguments) for name, *arguments in job["calls"]]
    session.ipmi_session.logout()
    again = Command(bmc="127.0.0.1", **login)
    results.append(again.get_power())
    again.ipmi_session.logout()
except IpmiException as error:
    results = [{"exception": str(error)}]
print(json.dumps(results, default=str))
