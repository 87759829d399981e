"""The `Network` of real life: TCP sockets under trio.

A listener reports addresses that can be dialled: a wildcard becomes one address per interface. Link-local IPv6 is left
out, since it means nothing without a zone. A process out of file descriptors waits and goes on accepting.
"""

import errno
import ipaddress
import logging
import socket
from collections.abc import Buffer
from typing import Final, cast, final

import ifaddr
import trio

from latticework.wire import LocalError

from .errors import UnreachableError, translate
from .multiaddr import Multiaddr
from .params import TCP_ACCEPT_RETRY_US, TCP_BACKLOG, TCP_UNSENT_BYTES
from .ports import ByteStream, Listener

_log = logging.getLogger(__name__)

_NOTSENT_LOWAT: Final[int | None] = getattr(socket, "TCP_NOTSENT_LOWAT", None)
_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@final
class TcpByteStream:
    """A connected socket."""

    def __init__(self, sock: trio.socket.SocketType, remote: Multiaddr) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if _NOTSENT_LOWAT is not None:
            sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, TCP_UNSENT_BYTES)
        self._socket = sock
        self.remote: Final = remote

    async def send_all(self, data: Buffer) -> None:
        with memoryview(data) as view:
            sent = 0
            try:
                while sent < len(view):
                    sent += await self._socket.send(view[sent:])
            except (OSError, trio.ClosedResourceError) as error:
                raise translate(error, f"sending to {self.remote}") from error

    async def receive_into(self, buffer: memoryview) -> int:
        try:
            return await self._socket.recv_into(buffer)
        except (OSError, trio.ClosedResourceError) as error:
            raise translate(error, f"receiving from {self.remote}") from error

    async def aclose(self) -> None:
        self._socket.close()
        await trio.lowlevel.checkpoint()


@final
class TcpListener:
    """A listening socket."""

    def __init__(self, sock: trio.socket.SocketType, addresses: tuple[Multiaddr, ...]) -> None:
        self._socket = sock
        self.addresses: Final = addresses

    async def accept(self) -> ByteStream:
        while True:
            try:
                sock, _ = await self._socket.accept()
                return _connected(sock)
            except trio.ClosedResourceError as error:
                raise LocalError("the listener was closed") from error
            except OSError as error:
                _log.warning("accept failed: %s", error)
                if error.errno in _OUT_OF_RESOURCES:
                    await trio.sleep(TCP_ACCEPT_RETRY_US / 1_000_000)
                elif self._socket.fileno() < 0:
                    raise LocalError("the listener is closed") from error

    async def aclose(self) -> None:
        self._socket.close()
        await trio.lowlevel.checkpoint()


@final
class TcpNetwork:
    """Dials and listens on this machine's interfaces."""

    async def listen(self, address: Multiaddr) -> Listener:
        if address.transport != "tcp" or not address.parts[0][0].startswith("ip"):
            raise LocalError(f"cannot listen on {address}: an IP address and a TCP port are needed")
        family = socket.AF_INET6 if address.parts[0][0] == "ip6" else socket.AF_INET
        sock = trio.socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            await sock.bind((address.host, address.port))
            sock.listen(TCP_BACKLOG)
        except OSError as error:
            sock.close()
            raise LocalError(f"cannot listen on {address}: {error}") from error
        return TcpListener(sock, _bound_addresses(sock))

    async def dial(self, address: Multiaddr) -> ByteStream:
        if address.transport != "tcp":
            raise LocalError(f"cannot dial {address}: not a TCP address")
        try:
            stream = await trio.open_tcp_stream(address.host, address.port)
        except OSError as error:
            raise UnreachableError(f"dialling {address}: {error}") from error
        try:
            return _connected(stream.socket)
        except OSError as error:
            raise UnreachableError(f"dialling {address}: {error}") from error


def _connected(sock: trio.socket.SocketType) -> TcpByteStream:
    """Closes `sock` and raises OSError if the peer is gone already."""
    try:
        host, port = _name(sock.getpeername())
        return TcpByteStream(sock, Multiaddr.tcp(host, port))
    except OSError:
        sock.close()
        raise


def _name(name: object) -> tuple[str, int]:
    """Host without zone, and port, of a socket name of either family."""
    if not isinstance(name, tuple):
        raise OSError(errno.ENOTCONN, f"no socket name: {name!r}")
    host, port = cast("tuple[str, int]", name[:2])
    return host.partition("%")[0], port


def _bound_addresses(sock: trio.socket.SocketType) -> tuple[Multiaddr, ...]:
    host, port = _name(sock.getsockname())
    bound = ipaddress.ip_address(host)
    if not bound.is_unspecified:
        return (Multiaddr.tcp(host, port),)
    found: list[Multiaddr] = []
    for adapter in ifaddr.get_adapters():
        for entry in adapter.ips:
            text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
            candidate = ipaddress.ip_address(text)
            if candidate.version == bound.version and not (candidate.version == 6 and candidate.is_link_local):
                found.append(Multiaddr.tcp(text, port))
    return tuple(dict.fromkeys(found))
