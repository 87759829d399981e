"""zeroconf behind blocking calls: announce, browse, goodbye. Runs on worker threads, one call at a time.

zeroconf runs an event loop on a thread of its own and calls back on another. Raw TXT bytes go in and out: its
dictionaries of properties lose repeated keys. Its resolver is not used either, since it waits for SRV and address
records that other libp2p nodes do not send; where a TXT record is missing it is asked for without waiting.

Probing for a name already in use (RFC 6762 section 8.1, about 1 s) is left out: the name has 160 random bits.
"""

from typing import Protocol, final

from zeroconf import (  # type: ignore[attr-defined]  # the DNS* names are public, zeroconf's `__all__` forgets them
    DNSOutgoing,  # pyright: ignore[reportPrivateImportUsage]  # the same
    DNSQuestion,  # pyright: ignore[reportPrivateImportUsage]  # the same
    DNSText,  # pyright: ignore[reportPrivateImportUsage]  # the same
    InterfaceChoice,
    ServiceBrowser,
    ServiceInfo,
    ServiceStateChange,
    Zeroconf,
)

from .params import MDNS_MAX_PEERS, MDNS_SERVICE, MDNS_TTL_S

_TYPE_TXT = 16
_CLASS_IN = 1
_FLAGS_QUERY = 0
"""RFC 1035 sections 3.2.2, 3.2.4 and 4.1.1."""


class Ear(Protocol):
    """Told on a thread of zeroconf's, always the same one, what is heard; must not wait."""

    def heard(self, instance: str, txt: bytes) -> None: ...
    def lost(self, instance: str) -> None: ...


@final
class Responder:
    """Our presence in mDNS as `instance`; `interfaces` are IPv4 addresses, all if empty."""

    def __init__(self, instance: str, interfaces: tuple[str, ...], ear: Ear) -> None:
        self._instance = instance
        self._interfaces = list(interfaces) or InterfaceChoice.All
        self._ear = ear
        self._zeroconf: Zeroconf | None = None
        self._browser: ServiceBrowser | None = None
        self._asked: set[str] = set()
        self._announced: ServiceInfo | None = None

    def publish(self, txt: bytes, port: int) -> None:
        """Open if need be, follow the interfaces as they are now, and announce `txt`; withdraw if `port` is 0.

        Takes about 0.5 s. `port` goes into the SRV record, which libp2p does not read.

        Raises:
            OSError: no interface takes multicast.
        """
        if self._zeroconf is None:
            self._zeroconf = Zeroconf(self._interfaces, use_asyncio=False)
            self._browser = ServiceBrowser(self._zeroconf, MDNS_SERVICE, [self._on_change])
        else:
            self._zeroconf.update_interfaces()
        if port == 0:
            self._withdraw(self._zeroconf)
        elif self._announced is None:
            info = self._info(txt, port)
            self._zeroconf.register_service(info, cooperating_responders=True)
            self._announced = info
        elif (self._announced.text, self._announced.port) != (txt, port):
            info = self._info(txt, port)
            self._zeroconf.update_service(info)
            self._announced = info

    def close(self) -> None:
        """Say goodbye (0.25 s) and end every thread; nothing is heard afterwards."""
        if self._browser is not None:
            self._browser.cancel()
            self._browser = None
        if self._zeroconf is not None:
            self._zeroconf.close()
            self._zeroconf = None

    def _withdraw(self, zeroconf: Zeroconf) -> None:
        if self._announced is not None:
            zeroconf.unregister_service(self._announced)
            self._announced = None

    def _info(self, txt: bytes, port: int) -> ServiceInfo:
        return ServiceInfo(
            MDNS_SERVICE,
            self._instance,
            port,
            properties=txt,
            server=self._instance,
            host_ttl=MDNS_TTL_S,
            other_ttl=MDNS_TTL_S,
        )

    def _on_change(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        del service_type
        if state_change is ServiceStateChange.Removed:
            self._ear.lost(name)
            return
        cached = zeroconf.cache.get_all_by_details(name, _TYPE_TXT, _CLASS_IN)
        texts = [record for record in cached if isinstance(record, DNSText)]
        if texts:
            self._ear.heard(name, max(texts, key=lambda record: record.created).text)
        elif name not in self._asked and len(self._asked) < MDNS_MAX_PEERS:
            # Once per name and boundedly: a flood of PTR records must not make us flood the network with questions.
            self._asked.add(name)
            _ask(zeroconf, name)


def _ask(zeroconf: Zeroconf, instance: str) -> None:
    """The answer comes as a change of `instance`."""
    query = DNSOutgoing(_FLAGS_QUERY)
    query.add_question(DNSQuestion(instance, _TYPE_TXT, _CLASS_IN))
    zeroconf.send(query)
