"""What Drophammer was asked to do with boot resources and booting machines, row by row.

The rows' numbers are those that tests name in ``@pytest.mark.seed``. What shows a row,
and with which result, is in ``docs/seeds.md``, which ``tests/seeds.py`` writes.
"""

from __future__ import annotations

#: row -> what has to be true, shortly
ROWS = {
    "s1": "One registry of services (DHCPv4, DHCPv6, NTP, TGT) with expected and actual state;"
    " a dead one is noticed, restarted and told of; no systemd is said, not fatal",
    "s2": "tgt-admin, tgtadm and tgtd run without a shell and within a time; a missing one makes"
    " the service unavailable and hinders no import",
    "s3": "tgtimg and tgt-setup-lun are optional and documented",
    "s4": "tgtd reads the targets again after its own restart, by an include in its conf.d",
    "s5": "An iSCSI target per image in the exact form, sorted, once each; names that could"
    " break out of the file are refused",
    "s6": "Boot loaders are linked into the snapshot's root per method and architecture; one"
    " that fails does not stop the others",
    "s7": "`syslinux` leads to PXELINUX's modules",
    "s8": "What the stream lacks of boot loaders comes from the previous snapshot or the"
    " distribution, and what is nowhere is named",
    "s9": "Snapshots have the path OS/ARCH/SUBARCH/RELEASE/LABEL; strays are ignored",
    "s10": "Targets are updated by exactly `tgt-admin --conf FILE --update ALL` after each import;"
    " a failure is a warning",
    "s11": "TFTP is read-only, renders configurations on request, answers every error at once,"
    " tells the node's events, and follows the host's addresses",
    "s12": "One start composes all services; imports run at start, periodically and on demand,"
    " never two at once; an interrupted one leaves `current` valid",
    "s13": "Snapshots, `current`, cache and index: atomic flips, hard links, no new snapshot when"
    " nothing is new, no partial one left",
    "s14": "Every boot loader's name stands in the snapshot's root as a relative link",
    "s15": "The targets' file is written atomically, mode 0644",
    "s16": "Kernel, initrd and root image of a boot come from one version, also while"
    " versions flip",
    "s17": "A metadata server with user-data and the upload of results",
    "s18": "A caching package proxy for machines",
    "s19": "DHCP tells address, next server, boot file, options 209 and 210; a simulated client"
    " shows it",
    "s20": "Log level and TFTP's request log are switched at run time",
    "s21": "PXELINUX's search order is answered, and unknown shapes quickly refused",
    "s22": "The boot configuration by MAC address; unknown ones fall through; a database that is"
    " down gives the last known answer, not a hang",
    "s23": "An unknown machine gets the enlist configuration and never a known node's; it can be"
    " off per subnet",
    "s24": "A known machine gets its configuration, byte for byte, by a plain TFTP client",
    "s25": "An installed machine is told to boot its disk, in every loader's language",
    "s26": "PXELINUX picks the architecture by ifcpu64.c32",
    "s27": "Kernel and initrd by TFTP and HTTP at the snapshot's paths, options negotiated",
    "s28": "The interface booted from is told as BOOTIF",
    "s29": "`nomodeset` by option, off by default",
    "s30": "The five parameters of an iSCSI root; a machine logs in with them and reads its root",
    "s31": "The `ip=` parameter for IPv4, `ip=off ip6=dhcp` for IPv6, never both",
    "s32": "`ro`, `overlayroot=tmpfs` and `overlayroot_cfgdisk=disabled`",
    "s33": "Enlist preseed by URL, without secrets, as valid cloud-config",
    "s34": "A syslog sink on the host that tells its address",
    "s35": "The ramdisk's init: command line, modules, network, mount, overlay, hand-over; each"
    " failure names its stage on the console and to the server",
    "s36": "The agent makes a BMC user with a random password",
    "s37": "Enlisting takes the form's fields; the same address twice makes one node",
    "s38": "A debug shell only where the operator allowed it",
    "s39": "A URL per node that cannot be guessed and ends with its state",
    "s40": "`netboot_off` and `netboot_on`, authenticated",
    "s41": "An import of nothing but kernel and initrd",
    "s42": "No boot mixes files of two imports: a property, not a comment",
    "s43": "What downloads can be replaced; `file://` only where it is allowed",
    "s44": "Releases come from distro-info, else from a table",
    "s45": "A download that fails ends the import with the file's name and no partial result",
    "s46": "Environment before file before defaults; never code from the working directory",
    "s47": "ARCHIVE, RELEASES, CURRENT_RELEASE, ARCHES, TFTPROOT and DOWNLOAD are honoured",
    "s48": "The URL of an installer's netboot files",
    "s49": "A pre-boot loader that is missing is skipped with a note, one that is equal left alone",
    "s50": "A folder is exchanged so that a crash leaves the old or the new, never none",
    "s51": "Sets of files are compared byte by byte",
    "s52": "Unchanged installer files keep inode and time, however much later the second run is",
    "s53": "The layout of the TFTP root, readable by its server; no temporary folder is left",
    "s54": "The seven cases of loader and installer updates, also with two releases and two"
    " architectures",
    "s55": "What a PXE client does is documented",
    "s56": "A captured DHCPDISCOVER of iPXE is parsed to the last option",
    "s57": "A client that is iPXE already gets the script, not the loader again",
    "s58": "Replies hold what was asked for and what must be; wrong message types are ignored",
    "s59": "`manage` checks the BMC and says why it failed",
    "s60": "The states' names, exactly",
    "s61": "The deployment's states; each verb in each state, legal or not",
    "s62": "Ramdisks are unpacked and repacked: gzip, xz, zstd, none, several archives; evil ones"
    " refused; reproducible; a kernel boots the result",
    "s63": "The kernel command line is parsed and composed, with quotes, duplicates and `--`",
    "s64": "BIOS gets pxelinux.0, UEFI gets shim, from trees that `setup` makes",
    "s65": "Loaders are taken out of RPM and DEB packages, by name, with their digests",
}


def numbers(*parts: tuple[int, int]) -> frozenset[str]:
    """Rows by their first and last number."""
    return frozenset(f"s{number}" for first, last in parts for number in range(first, last + 1))


#: Rows that belong to later milestones; all others are to be shown now.
LATER = frozenset(ROWS) - numbers((1, 16), (19, 32), (35, 35), (41, 58), (62, 65))
