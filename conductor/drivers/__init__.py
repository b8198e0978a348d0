"""Hardware types and their interfaces: how a kind of machine is powered, booted, deployed."""
