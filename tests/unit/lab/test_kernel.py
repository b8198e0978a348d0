from lab import kernel

DEPENDENCIES = """
kernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko
kernel/fs/fat/fat.ko:
kernel/fs/isofs/isofs.ko: kernel/drivers/cdrom/cdrom.ko
kernel/drivers/cdrom/cdrom.ko:
kernel/drivers/virtio/virtio_pci.ko: kernel/modern.ko kernel/virtio_ring.ko kernel/virtio.ko
kernel/modern.ko:
kernel/virtio_ring.ko: kernel/virtio.ko
kernel/virtio.ko:
kernel/fs/nls/nls_iso8859-1.ko.xz:
"""


def order(*names):
    return kernel.load_order(names, kernel.parse_dependencies(DEPENDENCIES))


def test_what_a_module_needs_comes_before_it():
    assert order("virtio_pci") == [
        "kernel/virtio.ko",
        "kernel/virtio_ring.ko",
        "kernel/modern.ko",
        "kernel/drivers/virtio/virtio_pci.ko",
    ]


def test_a_module_is_loaded_once():
    assert order("fat", "vfat", "fat") == ["kernel/fs/fat/fat.ko", "kernel/fs/fat/vfat.ko"]


def test_a_built_in_driver_is_left_out():
    assert order("nvme", "isofs") == ["kernel/drivers/cdrom/cdrom.ko", "kernel/fs/isofs/isofs.ko"]


def test_dashes_and_underscores_and_compression_do_not_matter():
    assert order("nls_iso8859_1") == ["kernel/fs/nls/nls_iso8859-1.ko.xz"]
