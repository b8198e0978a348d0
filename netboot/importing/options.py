"""Options of imports: how to fetch, and the sources, each in a group [source:NAME].

Only declarations; ``settings.py`` beside this file reads them.
"""

from __future__ import annotations

from oslo_config import cfg

TYPES = ("simplestreams", "netboot", "packages", "local")

IMPORT = [
    cfg.ListOpt(
        "sources",
        default=[],
        help="Names of the sources to import boot resources from, in order: what two of them have "
        "is taken from the first. Each has a group [source:NAME]. What was given by hand "
        "(`drophammer images add`) is imported in any case.",
    ),
    cfg.StrOpt(
        "state_dir",
        default="/var/lib/drophammer/import",
        help="Folder that keeps how new the last index of each source was, so that old ones are "
        "refused. Keep it across restarts.",
    ),
    cfg.StrOpt(
        "uploads_dir",
        default="/var/lib/drophammer/uploads",
        help="Folder for images given by hand. Move it to where there is room.",
    ),
    cfg.StrOpt(
        "download",
        default="",
        help="Command to fetch with, e.g. 'wget --no-verbose' or 'curl --fail --silent -O'; it "
        "gets the URL behind its words, or where {url} stands, and {output} is the file to write. "
        "It is run without a shell. Set it when upstream needs what we cannot do; then "
        "redirects are the command's own business. Empty: we fetch by ourselves.",
    ),
    cfg.StrOpt(
        "proxy",
        default="",
        help="HTTP proxy to fetch through, as http://HOST:PORT. Empty: what the environment says "
        "(http_proxy, https_proxy, no_proxy).",
    ),
    cfg.StrOpt(
        "ca_file",
        default="",
        help="File with the certificates that https:// mirrors are checked by. Set it for a mirror "
        "with a certificate of your own; empty means those of the system.",
    ),
    cfg.ListOpt(
        "hosts",
        default=[],
        help="Hosts that may be fetched from, with * as in *.ubuntu.com; redirects are held to it "
        "too. Empty allows all.",
    ),
    cfg.ListOpt(
        "file_roots",
        default=[],
        help="Folders that file:// URLs of sources may point into. Empty refuses file:// URLs.",
    ),
    cfg.IntOpt(
        "max_file_gib",
        default=16,
        min=1,
        max=4096,
        help="Largest file to take, in GiB. Raise it for larger root images.",
    ),
]

SOURCE = [
    cfg.StrOpt(
        "type",
        default="",
        help="simplestreams (a signed mirror of images), netboot (Debian's or Ubuntu's installer), "
        "packages (boot loaders out of .deb and .rpm files) or local (a folder).",
    ),
    cfg.StrOpt(
        "url",
        default="",
        help="simplestreams: the mirror, or its index file. netboot: the archive's dists/ folder.",
    ),
    cfg.StrOpt(
        "keyring",
        default="",
        help="simplestreams: file with the keys that may sign, as gpgv reads it.",
    ),
    cfg.BoolOpt(
        "signed",
        default=True,
        help="simplestreams: set to false to take an index that nobody signed.",
    ),
    cfg.IntOpt(
        "max_age_days",
        default=0,
        min=0,
        max=36500,
        help="simplestreams: refuse an index older than this, so that a mirror which stands still "
        "is noticed. 0 takes any age.",
    ),
    cfg.ListOpt(
        "arches",
        default=[],
        help="Architectures to take. Empty: all; netboot: amd64 and i386.",
    ),
    cfg.ListOpt(
        "subarches",
        default=[],
        help="simplestreams: sub-architectures to take. Empty takes all.",
    ),
    cfg.ListOpt(
        "releases",
        default=[],
        help="Releases to take. Empty: all; netboot: those that are supported today.",
    ),
    cfg.StrOpt(
        "current_release",
        default="",
        help="netboot: the release that PXELINUX is taken from. Empty: the stable one.",
    ),
    cfg.ListOpt(
        "labels",
        default=[],
        help="simplestreams: labels to take (release, daily, candidate, ...). Empty takes all. "
        "netboot: the one label to give; empty gives installer.",
    ),
    cfg.ListOpt(
        "files",
        default=[],
        help="simplestreams: files of an image to take, e.g. boot-kernel, boot-initrd for a "
        "minimal set. Empty takes all, and boot loaders too.",
    ),
    cfg.StrOpt(
        "installer",
        default="ubuntu-installer",
        help="netboot: name of the folder in the tree, ubuntu-installer or debian-installer.",
    ),
    cfg.ListOpt(
        "packages",
        default=[],
        help="packages: URLs or absolute paths of .deb and .rpm files. #sha256=HEX behind one pins "
        "its content.",
    ),
    cfg.StrOpt(
        "path",
        default="",
        help="local: the folder, laid out as OS/ARCH/SUBARCH/RELEASE/LABEL/FILE.",
    ),
]

GROUPS: list[tuple[str, list[cfg.Opt]]] = [("import", IMPORT), ("source:NAME", SOURCE)]
