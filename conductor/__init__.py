"""The conductor: takes a verb from the bus and moves a node along its life."""
