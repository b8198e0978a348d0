"""For what a lease is held besides the operator's verbs: the words that roles agree on.

A lease that begins or goes on with an operation by an operator's word is held for that
word ("active", "power off", "abort"); a call that is no operation holds it for what it
does ("set boot device"). These here are of those who go on with an operation by
themselves.
"""

from __future__ import annotations

GOING_ON = "going on with what was begun"
DEADLINE = "deadline"
HEARTBEAT = "heartbeat"
INSPECTION_DATA = "inspection data"

# Whoever holds a node for one of these works on its operation.
TAKING_UP = (GOING_ON, DEADLINE, HEARTBEAT, INSPECTION_DATA)
