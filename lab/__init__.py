"""Virtual bare metal: QEMU machines behind IPMI controllers, on a network of their own."""
