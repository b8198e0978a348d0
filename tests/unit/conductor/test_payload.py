"""What the agent is told of a node holds no secret."""

from __future__ import annotations

import json

from conductor.payload import node_for_agent
from drophammer.model import Node


def test_secrets_are_masked_at_every_depth() -> None:
    node = Node(
        uuid="u",
        driver_info={"ipmi_password": "canary", "deep": {"admin_token": "canary", "a": 1}},
        instance_info={"configdrive": {"x": "canary"}, "image_source": "http://x/i"},
        properties={},
    )
    told = node_for_agent(node)
    assert "canary" not in json.dumps(told)
    assert told["driver_info"]["deep"]["a"] == 1
    assert told["instance_info"]["image_source"] == "http://x/i"
