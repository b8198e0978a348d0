"""The API in a process: its sockets, who may reach them, its applications."""

from __future__ import annotations

import os
import socket

from oslo_config import cfg

from api.app import create_app
from api.auth import check_exposure
from api.server import ApiServer
from api.settings import HTTP_BASIC, Settings
from drophammer.errors import Invalid
from drophammer.netns import Namespace
from embedded.addresses import listener, shown, split_address
from embedded.place import Place


class ApiRole:
    """Opened before the others are started: an address in use is the commonest mistake.

    Raises Invalid for an address that others reach and nobody needs a password for.
    """

    def __init__(self, conf: cfg.ConfigOpts, listen: str | None) -> None:
        self._conf = conf
        self._settings = Settings.from_conf(conf)
        self._listen = split_address(
            listen or f"{conf.api.host_ip}:{conf.api.port}", "the listen address"
        )
        self._sockets: list[socket.socket] = []
        check_exposure(self._listen[0], self._settings.auth_strategy)
        check_users(self._settings)

    def open(self) -> None:
        """Listen; nothing is answered yet. Raises Invalid."""
        self._sockets = [listener(Namespace(), self._listen)]
        if self._conf.serve.ramdisk_listen:
            where = split_address(self._conf.serve.ramdisk_listen, "[serve] ramdisk_listen")
            try:
                namespace = Namespace(self._conf.netboot.network_namespace)
                self._sockets.append(listener(namespace, where))
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Listen no more, when it was not started."""
        for one in self._sockets:
            one.close()

    def start(self, place: Place) -> None:
        """Answer."""
        settings, sockets = self._settings, self._sockets
        app = create_app(settings, place.store, place.bus, checks=place.health)
        place.run(ApiServer(app, sockets[:1]))
        place.run(app.stream)
        host, port = self._listen
        place.say("api", f"http://{shown(host)}:{port}", f"auth: {settings.auth_strategy}")
        if len(sockets) > 1:
            ramdisk = create_app(
                settings, place.store, place.bus, ramdisk_only=True, checks=place.health
            )
            place.run(ApiServer(ramdisk, sockets[1:]))
            place.say("ramdisk api", f"http://{self._conf.serve.ramdisk_listen}", "ramdisks only")


def check_users(settings: Settings) -> None:
    """Raise Invalid when passwords are asked for and there is no file of them."""
    path = settings.http_basic_auth_user_file
    if settings.auth_strategy == HTTP_BASIC and not os.access(path, os.R_OK):
        raise Invalid(
            f"auth_strategy is http_basic, and its file of users {path} cannot be read; make it "
            f"with `htpasswd -B -c {path} USER`, or name another in http_basic_auth_user_file."
        )
