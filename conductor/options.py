"""The conductor's options. Names are Ironic's wherever the meaning is the same."""

from __future__ import annotations

import socket

from oslo_config import cfg, types

from drophammer.model import INTERFACES

FAKE_KINDS = (
    "power",
    "boot",
    "deploy",
    "vendor",
    "management",
    "inspect",
    "raid",
    "bios",
    "storage",
    "rescue",
    "firmware",
)

_DEFAULT: list[cfg.Opt] = [
    cfg.StrOpt(
        "host",
        default=socket.gethostname(),
        sample_default="the host name",
        help="Name under which this conductor appears to people. Several conductors may have the "
        "same; change it to tell them apart.",
    ),
    cfg.ListOpt(
        "enabled_hardware_types",
        default=["fake-hardware", "ipmi", "manual-management"],
        help="Hardware types this conductor drives. Take out what your site does not use.",
    ),
    *(
        option
        for kind in INTERFACES
        for option in (
            cfg.ListOpt(
                f"enabled_{kind}_interfaces",
                help=f"The {kind} interfaces that nodes may use. Unset: all that the enabled "
                "hardware types have.",
            ),
            cfg.StrOpt(
                f"default_{kind}_interface",
                help=f"The {kind} interface of nodes that name none. Unset: the first enabled "
                "one in the order of preference of the node's hardware type.",
            ),
        )
    ),
    cfg.ListOpt(
        "autodetect_deploy_interfaces",
        default=["ramdisk", "direct"],
        help="What the deploy interface 'autodetect' chooses from: the first one that suits the "
        "node's instance_info. ramdisk suits a kernel and a ramdisk without an image_source.",
    ),
]

_CONDUCTOR: list[cfg.Opt] = [
    cfg.StrOpt(
        "conductor_group",
        default="",
        help="Group of nodes this conductor takes. Set it to keep a site's nodes with a "
        "conductor near them.",
    ),
    cfg.IntOpt(
        "workers_pool_size",
        default=64,
        min=4,
        help="Threads that work on nodes at the same time. Waiting for a machine takes none; "
        "raise it when many power controllers are slow.",
    ),
    cfg.IntOpt(
        "heartbeat_interval",
        default=10,
        min=1,
        help="Seconds between signs of life of this conductor, and between its looks for work "
        "that nobody does any more.",
    ),
    cfg.IntOpt(
        "heartbeat_timeout",
        default=60,
        min=2,
        help="Seconds without a sign of life after which a conductor counts as dead and its "
        "work may be taken over. At least three times heartbeat_interval.",
    ),
    cfg.IntOpt(
        "check_provision_state_interval",
        default=60,
        min=1,
        help="Seconds between two looks for nodes that are past their deadline.",
    ),
    cfg.IntOpt(
        "node_locked_retry_attempts",
        default=3,
        min=1,
        help="How often an allocation is tried again while all nodes that fit are held by "
        "others. Raise it when allocations fail because of nodes that are only busy.",
    ),
    cfg.IntOpt(
        "node_locked_retry_interval",
        default=1,
        min=1,
        help="Seconds between two tries of an allocation. Raise it to spare the database.",
    ),
    cfg.IntOpt(
        "deploy_callback_timeout",
        default=1800,
        min=0,
        help="Seconds a deploying node may be without a sign of life of its ramdisk. Raise it "
        "for machines that take long to start; 0 waits for ever.",
    ),
    cfg.IntOpt(
        "clean_callback_timeout",
        default=1800,
        min=0,
        help="Seconds a node that is being cleaned may be without a sign of life of its ramdisk. "
        "Raise it for machines that take long to start; 0 waits for ever.",
    ),
    cfg.IntOpt(
        "inspect_wait_timeout",
        default=1800,
        min=0,
        help="Seconds an inspection may wait for the ramdisk's facts; 0 waits for ever.",
    ),
    cfg.IntOpt(
        "service_callback_timeout",
        default=1800,
        min=0,
        help="Seconds a node that is being serviced may be without a sign of life of its "
        "ramdisk; 0 waits for ever.",
    ),
    cfg.IntOpt(
        "rescue_callback_timeout",
        default=1800,
        min=0,
        help="Seconds a rescue may wait for its ramdisk; 0 waits for ever.",
    ),
    cfg.IntOpt(
        "max_conductor_wait_step_seconds",
        default=30,
        min=0,
        help="The longest time that one step 'wait' of an operator's list may take.",
    ),
    cfg.IntOpt(
        "node_history_max_entries",
        default=300,
        min=0,
        help="Entries kept in the history of each node; older ones are dropped now and then.",
    ),
    cfg.IntOpt(
        "event_retention_days",
        default=30,
        min=0,
        max=3650,
        help="Days for which events are kept; 0 keeps them for ever. Lower it when the table of "
        "events becomes too large.",
    ),
    cfg.IntOpt(
        "power_state_change_timeout",
        default=60,
        min=2,
        help="Seconds a power controller may take to reach the wanted power state. Raise it for "
        "machines with slow controllers.",
    ),
    cfg.IntOpt(
        "soft_power_off_timeout",
        default=600,
        min=1,
        help="Seconds an operating system may take to shut down after a soft power off.",
    ),
    cfg.IntOpt(
        "sync_power_state_interval",
        default=60,
        min=0,
        help="Seconds between two looks at the power of every node at rest, to notice machines "
        "that somebody else switched. Raise it for slow controllers; 0 never looks.",
    ),
    cfg.IntOpt(
        "sync_power_state_workers",
        default=8,
        min=1,
        help="Power controllers asked at the same time by that look, and as many again among "
        "those with a power failure. Raise it when a look takes longer than its interval.",
    ),
    cfg.IntOpt(
        "power_state_sync_max_retries",
        default=3,
        min=0,
        help="How many further looks may find a power controller silent before its node gets the "
        "fault 'power failure': no allocation gets it until the controller answers again. "
        "Maintenance is not set, that is the operator's.",
    ),
    cfg.BoolOpt(
        "force_power_state_during_sync",
        default=False,
        help="Switch a machine back that was found in another power state than it had. Off, "
        "because whoever pushed the button may stand at the machine: what was found is written "
        "down. Switch it on where nobody but this service may switch machines.",
    ),
    cfg.IntOpt(
        "power_failure_recovery_interval",
        default=300,
        min=0,
        help="Seconds between two looks at nodes with a power failure; the fault ends when "
        "the controller answers. 0 never looks.",
    ),
    cfg.IntOpt(
        "max_concurrent_deploy",
        default=250,
        min=1,
        help="Deployments under way at the same time; a further one gets 503. Lower it when "
        "image servers or the provisioning network are the limit.",
    ),
    cfg.IntOpt(
        "max_concurrent_clean",
        default=50,
        min=1,
        help="Cleanings under way at the same time; a further one gets 503.",
    ),
    cfg.BoolOpt(
        "allow_provisioning_in_maintenance",
        default=True,
        help="Whether a node in maintenance may be provided, deleted (undeployed), inspected and "
        "adopted. To deploy, clean, rescue or service it is refused in either case. False does "
        "not end what is under way when maintenance is set.",
    ),
    cfg.StrOpt(
        "deploy_kernel",
        help="URL (file:// or http://) of the kernel that nodes boot for deployment, cleaning "
        "and inspection, unless the node's driver_info names its own.",
    ),
    cfg.StrOpt(
        "deploy_ramdisk",
        help="URL of the ramdisk that goes with deploy_kernel.",
    ),
    cfg.BoolOpt(
        "automated_clean",
        default=True,
        help="Clean nodes before they become available. Switching it off hands one tenant's "
        "disks to the next.",
    ),
    cfg.MultiOpt(
        "clean_step_priority_override",
        item_type=types.Dict(),
        default={},
        sample_default="",
        help="Priorities of steps in automated cleaning, as interface.step:priority, several with "
        "commas or on lines of their own; 0 leaves a step out. A node has its own in driver_info "
        "step_priorities. Cleaning that would erase nothing fails.",
    ),
    cfg.StrOpt(
        "rescue_kernel",
        help="URL of the kernel of the rescue system, unless the node's driver_info names its "
        "own. Unset: the one for deployment, whose ramdisk can be a rescue system.",
    ),
    cfg.StrOpt(
        "rescue_ramdisk",
        help="URL of the ramdisk that goes with rescue_kernel.",
    ),
    cfg.StrOpt(
        "network_namespace",
        default="",
        help="Network namespace from which agents and images are reached. Set it when the "
        "provisioning network is in a namespace of this host, as in the lab.",
    ),
    cfg.StrOpt(
        "ramdisk_api_url",
        default="http://127.0.0.1:6385",
        help="URL at which ramdisks reach the API. Set it to the API's address on the "
        "provisioning network.",
    ),
]

_DEPLOY: list[cfg.Opt] = [
    cfg.IntOpt(
        "erase_devices_priority",
        min=0,
        help="Priority of overwriting whole disks in automated cleaning; 0 leaves it out. Unset: "
        "the ramdisk's own (10).",
    ),
    cfg.IntOpt(
        "erase_devices_metadata_priority",
        min=0,
        help="Priority of erasing partition tables and signatures in automated cleaning; 0 "
        "leaves it out. Unset: the ramdisk's own (99).",
    ),
    cfg.BoolOpt(
        "power_off_after_deploy_failure",
        default=True,
        help="Power a node off when its deployment failed. Switch it off to look at the machine.",
    ),
    cfg.StrOpt(
        "default_boot_mode",
        default="uefi",
        choices=["uefi", "bios"],
        help="Firmware of machines that say nothing about it and were not inspected.",
    ),
]

_PXE: list[cfg.Opt] = [
    cfg.StrOpt(
        "kernel_append_params",
        default="nofb vga=normal",
        help="Kernel parameters of the ramdisk on every node. Add a console= here when the "
        "machines' serial line is what you watch.",
    ),
    cfg.IntOpt(
        "boot_retry_timeout",
        default=900,
        min=0,
        help="Seconds after which a machine is switched off and booted again, twice at most, when "
        "its ramdisk has not called back. Longer than the slowest machine takes, and shorter than "
        "the call-back timeouts, which fail the node. 0: never.",
    ),
]

_AGENT: list[cfg.Opt] = [
    cfg.BoolOpt(
        "require_tls",
        default=True,
        help="Refuse ramdisks that do not offer TLS. Switch it off for old ramdisk images only.",
    ),
    cfg.IntOpt(
        "command_timeout",
        default=60,
        min=1,
        help="Seconds to wait for an answer of the ramdisk's command API.",
    ),
    cfg.BoolOpt(
        "stream_raw_images",
        default=True,
        help="Write raw images to disk while they are downloaded. Needed for images larger than "
        "the machine's memory.",
    ),
]

_IPMI: list[cfg.Opt] = [
    cfg.IntOpt(
        "worker_processes",
        default=2,
        min=1,
        help="Child processes that talk to IPMI controllers. One serves some 2,000 commands a "
        "second; raise it for more than a few thousand controllers.",
    ),
    cfg.FloatOpt(
        "command_deadline",
        default=10.0,
        min=1.0,
        help="Seconds after which an unanswered IPMI command counts as failed.",
    ),
    cfg.BoolOpt(
        "disable_boot_timeout",
        default=True,
        help="Tell the controller not to forget the boot device after 60 s. Switch it off for "
        "controllers that reject the command.",
    ),
]

_FAKE: list[cfg.Opt] = [
    option
    for kind in FAKE_KINDS
    for option in (
        cfg.StrOpt(
            f"{kind}_delay",
            default="0",
            help=f"Seconds that the fake {kind} interface takes: one number, or two (shortest, "
            "longest) separated by a comma.",
        ),
        cfg.StrOpt(
            f"{kind}_fault",
            default="",
            help=f"How the fake {kind} interface fails: a probability from 0 to 1, a text, or "
            "both, like '0.1 no answer'. A text alone fails always. It may begin with the name "
            "of the error, like 'BmcUnreachable: no answer'. A node has its own in driver_info, "
            f'like {{"fake_fault": {{"{kind}": "no answer"}}}}.',
        ),
    )
]

GROUPS: list[tuple[str, list[cfg.Opt]]] = [
    ("DEFAULT", _DEFAULT),
    ("conductor", _CONDUCTOR),
    ("deploy", _DEPLOY),
    ("pxe", _PXE),
    ("agent", _AGENT),
    ("ipmi", _IPMI),
    ("fake", _FAKE),
]
