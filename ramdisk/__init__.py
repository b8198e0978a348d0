"""Builds the deploy ramdisk: a kernel and an initrd with the agent inside."""
