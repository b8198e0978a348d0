"""The API's settings as plain values, so that nothing behind this file knows oslo.config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from oslo_config import cfg

NOAUTH, HTTP_BASIC = "noauth", "http_basic"
MAX_BODY_KIB = 64 * 1024
# In which requests are worked on. At most half of them may wait for nodes that are held.
THREADS = 16
# What the server puts into the WSGI environment for those who want the connection itself.
TAKE_OVER = "drophammer.take_over"
T = TypeVar("T", bool, int, str)


@dataclass(frozen=True)
class Settings:
    """See ``options.py`` for the meaning of each. Sizes are KiB, times are seconds."""

    auth_strategy: str = NOAUTH
    http_basic_auth_user_file: str = "/etc/drophammer/htpasswd"
    default_resource_class: str | None = None
    host_ip: str = "127.0.0.1"
    port: int = 6385
    max_limit: int = 1000
    public_endpoint: str | None = None
    restrict_lookup: bool = True
    enable_ramdisk_endpoints: bool = True
    ramdisk_heartbeat_timeout: int = 300
    max_json_body_size: int = 1024
    max_json_body_size_provision: int = MAX_BODY_KIB
    max_json_body_size_inspection: int = 16 * 1024
    allow_deleting_available_nodes: bool = True
    agent_require_tls: bool = True
    conductor_timeout: float = 60
    metrics: bool = True
    # Not options: nobody would want them to differ between sites. Tests change them.
    allow_local_callbacks: bool = False
    locked_attempts: int = 3
    locked_pause: float = 1.0
    locked_waiting: int = THREADS // 2

    @classmethod
    def from_conf(cls, conf: cfg.ConfigOpts) -> Settings:
        """Read them from a loaded configuration.

        The conductor's options that matter here too are its defaults where the
        conductor's options are not registered.
        """
        api = conf.api
        return cls(
            auth_strategy=conf.auth_strategy,
            http_basic_auth_user_file=conf.http_basic_auth_user_file,
            default_resource_class=conf.default_resource_class,
            host_ip=api.host_ip,
            port=api.port,
            max_limit=api.max_limit,
            public_endpoint=api.public_endpoint.rstrip("/") if api.public_endpoint else None,
            restrict_lookup=api.restrict_lookup,
            enable_ramdisk_endpoints=api.enable_ramdisk_endpoints,
            ramdisk_heartbeat_timeout=api.ramdisk_heartbeat_timeout,
            max_json_body_size=api.max_json_body_size,
            max_json_body_size_provision=api.max_json_body_size_provision,
            max_json_body_size_inspection=api.max_json_body_size_inspection,
            allow_deleting_available_nodes=api.allow_deleting_available_nodes,
            agent_require_tls=_shared(conf, "agent", "require_tls", True),
            conductor_timeout=_shared(conf, "conductor", "heartbeat_timeout", 60),
            metrics=not _shared(conf, "serve", "monitor_listen", ""),
        )


def _shared(conf: cfg.ConfigOpts, group: str, name: str, default: T) -> T:
    try:
        value: T = conf[group][name]
        return value
    except (cfg.NoSuchGroupError, cfg.NoSuchOptError):
        return default
