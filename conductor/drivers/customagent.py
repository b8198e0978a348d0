"""Deploy interface ``custom-agent``: the ramdisk is booted and left again; what happens in
between are the steps that somebody names.
"""

from __future__ import annotations

from conductor.drivers.agentdeploy import AgentDeploy


class CustomAgentDeploy(AgentDeploy):
    """Adds nothing: what is on the disk is the business of the named steps."""
