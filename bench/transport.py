# ruff: noqa: PLC0415 - each process imports only the stack that it measures
"""One stream between two processes on loopback: ours (pqx, yamux, TCP), raw trio TCP, and py-libp2p (noise, yamux).

    uv run --all-groups python bench/transport.py [--quick] [--ours-only]

Each line: name, value, unit, peer, its value, ratio ours/theirs. CPU is the sum of both processes during the transfer.
py-libp2p runs in a virtual environment of its own ($LATTICE_BENCH_LIBP2P, by default in the temporary directory); it is
made on the first run with `uv pip install libp2p==0.8.1`, which compiles and needs Debian's libgmp-dev.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import trio

GIB = 1 << 30
CHUNK = 1 << 20
BULK = "/bench/bulk/1"
LIBP2P_VENV = Path(os.environ.get("LATTICE_BENCH_LIBP2P", Path(tempfile.gettempdir(), "lattice-bench-libp2p")))


def report(count: int, wall_s: float, cpu_s: float) -> dict[str, float]:
    return {"MB/s": count / 1e6 / wall_s, "CPU s/GiB": cpu_s / count * GIB}


# ours


class Clock:
    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_us(self) -> int:
        return time.monotonic_ns() // 1000


class Rng:
    def random_bytes(self, count: int) -> bytes:
        return secrets.token_bytes(count)


def pqx_channel():
    """A device that trusts every certificate: the roster is not measured here."""
    from latticework.crdt.roster import Member, certificate_hash, read_certificate
    from latticework.handshake import MlKem1024, PqxChannel, found_account, generate, load_keys
    from latticework.handshake.keys import device_id
    from latticework.wire.signing import CompositeSignatures, Ed25519Signer

    def authorize(signed: bytes):
        _, certificate = read_certificate(signed)
        device = device_id(certificate.signing_key, certificate.exchange_key)
        return Member(device, certificate, signed, certificate_hash(signed))

    rng, kem, signatures = Rng(), MlKem1024(), CompositeSignatures()
    now_s = Clock().now_us() // 1_000_000
    keys = load_keys(generate(rng, now_s), kem, signatures)
    signed = found_account(keys, "bench", now_s)
    signer = Ed25519Signer(secrets.token_bytes(32))
    return PqxChannel(keys, signed, signer, rng, kem, signatures, authorize)


async def serve_ours():
    from latticework.transport import BufferPool, Limits, Multiaddr, TcpNetwork, Upgrader

    upgrader = Upgrader([pqx_channel()], Clock(), BufferPool(), Limits())
    listener = await TcpNetwork().listen(Multiaddr.parse("/ip4/127.0.0.1/tcp/0"))
    print(listener.addresses[0].port, flush=True)

    async def handle(_protocol, stream):
        count = int.from_bytes(await stream.receive_exactly(8), "big")
        began = time.process_time()
        buffer = memoryview(bytearray(CHUNK))
        while count:
            count -= await stream.receive_into(buffer)
        await stream.send_message(json.dumps(time.process_time() - began).encode())

    connection = await upgrader.inbound(await listener.accept())
    await connection.run(handle, [BULK])


async def dial_ours(port: int, count: int):
    from latticework.transport import BufferPool, Limits, Multiaddr, TcpNetwork, Upgrader

    channel = pqx_channel()
    upgrader = Upgrader([], Clock(), BufferPool(), Limits())
    connection = await upgrader.outbound(await TcpNetwork().dial(Multiaddr.tcp("127.0.0.1", port)), channel)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connection.run, None, [])
        stream = await connection.open_stream([BULK])
        buffer = secrets.token_bytes(CHUNK)
        await stream.send_all(count.to_bytes(8, "big"))
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(count // CHUNK):
            await stream.send_all(buffer)
        far = json.loads(await stream.receive_message(100))
        result = report(count, time.perf_counter() - wall, time.process_time() - cpu + far)
        await connection.aclose()
    return result


# raw trio TCP


async def serve_raw():
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    print(listener.socket.getsockname()[1], flush=True)
    sock = (await listener.accept()).socket
    buffer = memoryview(bytearray(CHUNK))
    await sock.recv_into(buffer[:8])
    count = int.from_bytes(buffer[:8], "big")
    began = time.process_time()
    while count:
        count -= await sock.recv_into(buffer)
    await sock.send(json.dumps(time.process_time() - began).encode())


async def dial_raw(port: int, count: int):
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    buffer = secrets.token_bytes(CHUNK)
    await stream.send_all(count.to_bytes(8, "big"))
    await trio.sleep(0.1)
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(count // CHUNK):
        await stream.send_all(buffer)
    far = json.loads(await stream.receive_some(100))
    return report(count, time.perf_counter() - wall, time.process_time() - cpu + far)


# py-libp2p


def libp2p_host():
    import multiaddr
    from libp2p import generate_new_ed25519_identity, new_host
    from libp2p.crypto.x25519 import create_new_key_pair
    from libp2p.security.noise.transport import PROTOCOL_ID, Transport

    key_pair = generate_new_ed25519_identity()
    noise = {PROTOCOL_ID: Transport(key_pair, noise_privkey=create_new_key_pair().private_key)}
    listen = [multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")]
    return new_host(key_pair=key_pair, sec_opt=noise, muxer_preference="YAMUX", listen_addrs=listen), listen


async def serve_libp2p():
    host, listen = libp2p_host()

    async def handle(stream):
        count = int.from_bytes(await stream.read(8), "big")
        began = time.process_time()
        while count:
            count -= len(await stream.read(min(65536, count)))
        await stream.write(json.dumps(time.process_time() - began).encode())
        await stream.close()

    host.set_stream_handler(BULK, handle)
    async with host.run(listen_addrs=listen):
        print(host.get_addrs()[0], flush=True)
        await trio.sleep_forever()


async def dial_libp2p(address: str, count: int):
    import multiaddr
    from libp2p.peer.peerinfo import info_from_p2p_addr

    info = info_from_p2p_addr(multiaddr.Multiaddr(address))
    host, listen = libp2p_host()
    async with host.run(listen_addrs=listen):
        await host.connect(info)
        await trio.sleep(1)
        stream = await host.new_stream(info.peer_id, [BULK])
        buffer = secrets.token_bytes(1 << 18)
        await stream.write(count.to_bytes(8, "big"))
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(count >> 18):
            await stream.write(buffer)
        far = json.loads(await stream.read(100))
        return report(count, time.perf_counter() - wall, time.process_time() - cpu + far)


def libp2p_python() -> str:
    python = LIBP2P_VENV / "bin" / "python"
    ready = (
        python.exists()
        and not subprocess.run([python, "-c", "import libp2p"], capture_output=True, check=False).returncode
    )
    if not ready:
        subprocess.run(["uv", "venv", "-q", "--clear", "-p", "3.13", str(LIBP2P_VENV)], check=True)
        # Not from the checkout: our pins are for us.
        install = ["uv", "pip", "install", "-q", "-p", str(python), "libp2p==0.8.1"]
        subprocess.run(install, check=True, cwd=LIBP2P_VENV)
    return str(python)


# the measurement

SERVE = {"ours": serve_ours, "raw": serve_raw, "libp2p": serve_libp2p}


def child(role: str, stack: str, count: int, address: str) -> None:
    if role == "serve":
        trio.run(SERVE[stack])
        return
    dial = {"ours": dial_ours, "raw": dial_raw, "libp2p": dial_libp2p}[stack]
    target = address if stack == "libp2p" else int(address)
    print("RESULT " + json.dumps(trio.run(dial, target, count)), flush=True)


def measure(stack: str, count: int) -> dict[str, float]:
    python = libp2p_python() if stack == "libp2p" else sys.executable
    command = [python, __file__, "--stack", stack, "--count", str(count)]
    quiet = subprocess.DEVNULL if stack == "libp2p" else None
    with subprocess.Popen([*command, "--role", "serve"], stdout=subprocess.PIPE, stderr=quiet, text=True) as server:
        try:
            address = server.stdout.readline().strip()
            dial = [*command, "--role", "dial", "--address", address]
            done = subprocess.run(dial, stdout=subprocess.PIPE, stderr=quiet, text=True, check=True, timeout=300)
        finally:
            server.kill()
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return json.loads(line.removeprefix("RESULT "))


def median(stack: str, count: int, runs: int) -> dict[str, float]:
    results = sorted((measure(stack, count) for _ in range(runs)), key=lambda result: result["CPU s/GiB"])
    return results[len(results) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="128 MiB and one run, instead of 1 GiB and three")
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--role", choices=["serve", "dial"], help=argparse.SUPPRESS)
    parser.add_argument("--stack", choices=list(SERVE), help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--address", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        child(arguments.role, arguments.stack, arguments.count, arguments.address)
        return
    count, runs = (GIB >> 3, 1) if arguments.quick else (GIB, 3)
    ours = median("ours", count, runs)
    peers = {} if arguments.ours_only else {"trio TCP": median("raw", count, runs)}
    if not arguments.ours_only:
        peers["py-libp2p 0.8.1"] = median("libp2p", count, runs)
    for unit, name in (("MB/s", "transport_one_stream"), ("CPU s/GiB", "transport_one_stream_cpu")):
        for peer, theirs in peers.items() or {"-": ours}.items():
            ratio = ours[unit] / theirs[unit]
            print(f"{name}\t{ours[unit]:.2f}\t{unit}\t{peer}\t{theirs[unit]:.2f}\t{ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
