"""Talks to IPMI controllers (BMCs) through a pool of child processes.

``pool.IpmiPool`` is the door, ``target.BmcTarget`` says whom to talk to. The
IPMI library is imported by ``worker`` alone, never by the conductor itself.
Nothing here waits for a machine to reach a power state.
"""
