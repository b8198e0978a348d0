"""Every role in one process, with a switch for each, and the command line over all of it."""
