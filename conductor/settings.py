"""The conductor's settings as plain values, so that nothing behind this file knows oslo.config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from oslo_config import cfg

from conductor import fakefaults
from conductor.fakefaults import Fault
from conductor.options import FAKE_KINDS
from drophammer import steppriorities
from drophammer.errors import Invalid
from drophammer.model import INTERFACES


@dataclass(frozen=True)
class Settings:
    """See ``options.py`` for the meaning of each. Times are seconds; 0 switches a timeout off."""

    host: str = "localhost"
    hardware_types: tuple[str, ...] = ("fake-hardware", "ipmi", "manual-management")
    enabled_interfaces: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    default_interfaces: Mapping[str, str] = field(default_factory=dict)
    autodetect_deploy_interfaces: tuple[str, ...] = ("ramdisk", "direct")
    conductor_group: str = ""
    workers: int = 64
    heartbeat_interval: float = 10
    sweep_interval: float = 60
    locked_attempts: int = 3
    locked_interval: float = 1
    deploy_timeout: float = 1800
    clean_timeout: float = 1800
    inspect_timeout: float = 1800
    service_timeout: float = 1800
    rescue_timeout: float = 1800
    max_step_wait: float = 30
    history_entries: int = 300
    event_retention_days: int = 30
    power_timeout: float = 60
    soft_power_timeout: float = 600
    power_sync_interval: float = 60
    power_sync_workers: int = 8
    power_sync_retries: int = 3
    force_power_state: bool = False
    power_recovery_interval: float = 300
    max_concurrent_deploy: int = 250
    max_concurrent_clean: int = 50
    allow_provisioning_in_maintenance: bool = True
    deploy_kernel: str | None = None
    deploy_ramdisk: str | None = None
    rescue_kernel: str | None = None
    rescue_ramdisk: str | None = None
    automated_clean: bool = True
    clean_step_priorities: Mapping[str, int] = field(default_factory=dict)
    network_namespace: str = ""
    ramdisk_api_url: str = "http://127.0.0.1:6385"
    erase_devices_priority: int | None = None
    erase_devices_metadata_priority: int | None = None
    power_off_after_deploy_failure: bool = True
    default_boot_mode: str = "uefi"
    kernel_append_params: str = "nofb vga=normal"
    boot_retry_timeout: float = 900
    agent_timeout: float = 60
    stream_raw_images: bool = True
    ipmi_workers: int = 2
    ipmi_deadline: float = 10.0
    ipmi_disable_boot_timeout: bool = True
    # Not an option: how soon to ask again whoever said "try again later".
    retry_seconds: float = 5.0
    fake_delays: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    fake_faults: Mapping[str, Fault] = field(default_factory=dict)

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> Settings:
        """Read them from a loaded configuration. Raises Invalid for values that make no sense."""
        beat, timeout = conf.conductor.heartbeat_interval, conf.conductor.heartbeat_timeout
        if timeout < 3 * beat:
            raise Invalid(
                f"[conductor] heartbeat_timeout = {timeout} is less than three times "
                f"heartbeat_interval = {beat}: a conductor would lose its work to another one "
                "for a single late beat."
            )
        if bool(conf.conductor.rescue_kernel) != bool(conf.conductor.rescue_ramdisk):
            raise Invalid(
                "[conductor] rescue_kernel and rescue_ramdisk go together: a kernel loads its "
                "modules from its own ramdisk. Set both, or neither."
            )
        return cls(
            host=conf.host,
            hardware_types=tuple(conf.enabled_hardware_types),
            enabled_interfaces={
                kind: tuple(names)
                for kind in INTERFACES
                if (names := getattr(conf, f"enabled_{kind}_interfaces")) is not None
            },
            default_interfaces={
                kind: value
                for kind in INTERFACES
                if (value := getattr(conf, f"default_{kind}_interface"))
            },
            autodetect_deploy_interfaces=tuple(conf.autodetect_deploy_interfaces),
            conductor_group=conf.conductor.conductor_group,
            workers=conf.conductor.workers_pool_size,
            heartbeat_interval=beat,
            sweep_interval=conf.conductor.check_provision_state_interval,
            locked_attempts=conf.conductor.node_locked_retry_attempts,
            locked_interval=conf.conductor.node_locked_retry_interval,
            deploy_timeout=conf.conductor.deploy_callback_timeout,
            clean_timeout=conf.conductor.clean_callback_timeout,
            inspect_timeout=conf.conductor.inspect_wait_timeout,
            service_timeout=conf.conductor.service_callback_timeout,
            rescue_timeout=conf.conductor.rescue_callback_timeout,
            max_step_wait=conf.conductor.max_conductor_wait_step_seconds,
            history_entries=conf.conductor.node_history_max_entries,
            event_retention_days=conf.conductor.event_retention_days,
            power_timeout=conf.conductor.power_state_change_timeout,
            soft_power_timeout=conf.conductor.soft_power_off_timeout,
            power_sync_interval=conf.conductor.sync_power_state_interval,
            power_sync_workers=conf.conductor.sync_power_state_workers,
            power_sync_retries=conf.conductor.power_state_sync_max_retries,
            force_power_state=conf.conductor.force_power_state_during_sync,
            power_recovery_interval=conf.conductor.power_failure_recovery_interval,
            max_concurrent_deploy=conf.conductor.max_concurrent_deploy,
            max_concurrent_clean=conf.conductor.max_concurrent_clean,
            allow_provisioning_in_maintenance=conf.conductor.allow_provisioning_in_maintenance,
            deploy_kernel=conf.conductor.deploy_kernel,
            deploy_ramdisk=conf.conductor.deploy_ramdisk,
            rescue_kernel=conf.conductor.rescue_kernel,
            rescue_ramdisk=conf.conductor.rescue_ramdisk,
            automated_clean=conf.conductor.automated_clean,
            clean_step_priorities=_priorities(conf.conductor.clean_step_priority_override),
            network_namespace=conf.conductor.network_namespace,
            ramdisk_api_url=conf.conductor.ramdisk_api_url.rstrip("/"),
            erase_devices_priority=conf.deploy.erase_devices_priority,
            erase_devices_metadata_priority=conf.deploy.erase_devices_metadata_priority,
            power_off_after_deploy_failure=conf.deploy.power_off_after_deploy_failure,
            default_boot_mode=conf.deploy.default_boot_mode,
            kernel_append_params=conf.pxe.kernel_append_params,
            boot_retry_timeout=conf.pxe.boot_retry_timeout,
            agent_timeout=conf.agent.command_timeout,
            stream_raw_images=conf.agent.stream_raw_images,
            ipmi_workers=conf.ipmi.worker_processes,
            ipmi_deadline=conf.ipmi.command_deadline,
            ipmi_disable_boot_timeout=conf.ipmi.disable_boot_timeout,
            fake_delays={
                kind: _delay(kind, getattr(conf.fake, f"{kind}_delay")) for kind in FAKE_KINDS
            },
            fake_faults={
                kind: fault for kind in FAKE_KINDS if (fault := _fault(kind, conf)) is not None
            },
        )


def _delay(kind: str, text: str) -> tuple[float, float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or min(numbers) < 0 or max(numbers) < numbers[0]:
        raise Invalid(
            f"[fake] {kind}_delay = {text!r}: give one number of seconds, or the shortest and "
            "the longest separated by a comma."
        )
    return numbers[0], numbers[-1]


def _fault(kind: str, conf: cfg.ConfigOpts) -> Fault | None:
    option = f"{kind}_fault"
    return fakefaults.parse(getattr(conf.fake, option), f"[fake] {option}")


def _priorities(entries: Sequence[Mapping[str, str]]) -> dict[str, int]:
    told = {name.strip(): value for entry in entries for name, value in entry.items()}
    return steppriorities.parse(told, "[conductor] clean_step_priority_override")
