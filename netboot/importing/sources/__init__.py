"""One file per kind of upstream; which ones there are is in ``netboot.importing.configured``."""
