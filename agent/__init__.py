"""The program that runs inside the deploy ramdisk and does what the conductor asks.

Standard library only, and nothing of ours: it must fit a small ramdisk and must
work with any conductor that speaks the ironic-python-agent wire.
"""

#: The protocol generation that ``/v1/status`` and every heartbeat report; conductors
#: read abilities out of it, so it follows the wire and not our releases.
AGENT_VERSION = "13.0.0"
