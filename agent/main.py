"""The agent's life: inspect, look up, serve commands, send heartbeats.

Everything that does anything is imported where it is first needed: on a slow
machine importing is a good part of the time to the first call.
"""

from __future__ import annotations

import sys
import threading

from agent import cmdline, inspection, network
from agent.console import say
from agent.errors import AgentError, InspectionFailed, LockedDown
from agent.hardware import Machine
from agent.httpclient import Url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.cmdline import Options
    from agent.disks import Disk
    from agent.heartbeat import Heartbeats
    from agent.lookup import Found
    from agent.server import CommandServer
    from agent.tls import Certificate


class Agent:
    """One run of the agent.

    ``off`` and ``restart`` end the machine, ``disks`` lists its disks, ``set_clock``
    gets an HTTP date to set the clock by, ``root`` is where the ramdisk's files are.
    """

    def __init__(
        self,
        options: Options,
        machine: Machine,
        *,
        off: Callable[[], None],
        restart: Callable[[], None],
        disks: Callable[[], list[Disk]] | None = None,
        set_clock: Callable[[str], None] = lambda date: None,
        root: str = "/",
    ) -> None:
        self._set_clock, self._root = set_clock, root
        self.options, self.machine = options, machine
        self._off, self._restart, self._disks = off, restart, disks
        self._idle = threading.Event()
        self._lock = threading.Lock()
        self._stopped = False
        self._heartbeats: Heartbeats | None = None
        self._server: CommandServer | None = None

    def run(self) -> None:
        """Inspect, then serve until ``stop``. Raises AgentError when it cannot go on."""
        urls = [url for url in (self.options.inspection_url, *self.options.api_urls) if url]
        if not urls:
            raise AgentError("neither ipa-api-url nor ipa-inspection-callback-url is given")
        address = network.wait_for_route(urls, self.options.dhcp_wait)
        say(f"network: {address} towards {Url(urls[0]).host}")
        uuid = self._inspect() if self.options.inspection_url else ""
        if self.options.api_urls:
            self._serve(uuid)
        else:
            say("inspection: done; waiting to be turned off")
            self._idle.wait()

    def stop(self) -> None:
        """Let ``run`` return and close the command API."""
        with self._lock:
            self._stopped = True
            heartbeats, server = self._heartbeats, self._server
        self._idle.set()
        if heartbeats:
            heartbeats.stop()
        if server:
            server.shutdown()
            server.server_close()

    def _inspect(self) -> str:
        data = inspection.collect(self.machine, self.options.collectors)
        try:
            uuid = inspection.send(data, self.options)
        except InspectionFailed as error:
            if not self.options.api_urls:
                raise
            say(f"inspection: {error.message}; going on to the look-up")
            return ""
        say(f"inspection: data taken, node {uuid or 'not named'}")
        return uuid

    def _serve(self, uuid: str) -> None:
        from agent import lookup, tls
        from agent.conductor import ConductorApi

        address = network.wait_for_route(self.options.api_urls, self.options.dhcp_wait)
        apis = [ConductorApi(self.options, url) for url in self.options.api_urls]
        self._set_clock(lookup.ask_versions(apis, self.options))
        host = self.options.advertise_host or address
        # Made beside the look-up, which it does not need.
        maker = None
        if any(api.takes_certificates for api in apis):
            maker = tls.start(host, self.options.certificate_curve)
        macs = [nic["mac_address"] for nic in self.machine.interfaces()]
        say(f"lookup: {', '.join(macs) or 'no interface'} at {', '.join(api.url for api in apis)}")
        try:
            found = lookup.find_node(apis, macs, self.options, uuid)
        except BaseException:
            if maker:
                maker.cancel()
            raise
        say(f"lookup: this is node {found.uuid}")
        certificate = None
        if maker and found.api.takes_certificates:
            certificate = maker.result()
        elif maker:
            maker.cancel()
        self._open_server(found, host, certificate)
        if self._heartbeats:
            self._heartbeats.run()

    def _open_server(self, found: Found, host: str, certificate: Certificate | None) -> None:
        from agent.commands import all_commands
        from agent.context import Context
        from agent.disks import list_disks
        from agent.heartbeat import Heartbeats
        from agent.jobs import Jobs
        from agent.server import CommandServer

        context = Context(
            self.options,
            self.machine,
            found.node,
            found.config,
            off=self._off,
            restart=self._restart,
            disks=self._disks or (lambda: list_disks(self.machine.sys_root)),
            leave=self.stop,
            root=self._root,
        )
        jobs = Jobs(all_commands(context), lambda: beats.nudge(), lambda: beats.look())
        tls_context = None
        if certificate:
            minimum = str(found.config.get("tls_min_version") or self.options.tls_min_version)
            ciphers = found.config.get("tls_cipher_suites")
            tls_context = certificate.context(minimum, str(ciphers) if ciphers else None)
            certificate.remove()
        listen = (self.options.listen_host, self.options.listen_port)
        server = CommandServer(*listen, jobs, found.token, tls_context)
        scheme = "https" if certificate else "http"
        shown = f"[{host}]" if ":" in host else host
        callback = f"{scheme}://{shown}:{self.options.advertise_port or server.port}"
        beats = Heartbeats(found, callback, certificate.pem if certificate else "", jobs.running)
        with self._lock:
            if self._stopped:
                server.server_close()
                return
            self._server, self._heartbeats = server, beats
            server.serve_in_thread()
        say(f"command-api: {callback}")


def main() -> int:
    """Run on this machine, as root in the ramdisk; the exit status for ``init``."""
    from agent import clock, power

    try:
        options = cmdline.read()
        if power.watch_button(power.power_off):
            say("power: the power button is watched")
        if options.hardware_delay:
            threading.Event().wait(options.hardware_delay)
        machine = Machine(boot_mac=options.boot_mac)
        Agent(
            options,
            machine,
            off=power.power_off,
            restart=power.restart,
            set_clock=clock.correct,
        ).run()
        say("the agent's work is done; this system stays as it is")
        # To end would be to restart the machine.
        threading.Event().wait()
    except LockedDown as error:
        say(f"locked down: {error.message}")
        # Alive but silent: a restart would only ask for the same token again.
        threading.Event().wait()
    except AgentError as error:
        say(f"stopped: {type(error).__name__}: {error.message}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
