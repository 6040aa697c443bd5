"""Slow clients (Slowloris): when the service closes their connections, and whether other clients are answered.

    python -m benchmarks.slow [--connections 500]

Starts the service and opens this many connections of one kind at once, one kind after the other. Meanwhile another
client sends docs/seven.jpg ten times per second. Prints for each kind how the connections ended and after how many
seconds, the statuses of the other client, and the memory growth. Fails when a connection stays open, or the other
client gets another status than 200. Needs Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import socket
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from threading import Event
from types import MappingProxyType

import httpx

from benchmarks.serving import ROOT, Server, running_service

_HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n"
# Longer than every timeout of the service.
_TIMEOUT = 120
_NOT_READING_SECONDS = 75

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[str]]


async def _ending(reader: asyncio.StreamReader) -> str:
    """Read until a connection ends, and return how: the status and whether the answer is complete, or no answer."""
    head, n_bytes, end = b"", 0, "closed"
    try:
        while piece := await reader.read(65_536):
            head += piece[: 1000 - len(head)]
            n_bytes += len(piece)
    except ConnectionError:
        end = "reset"
    answer = re.match(rb"HTTP/1.1 (\d+).*?content-length: (\d+)", head, re.DOTALL)
    if not answer:
        return end
    return f"{answer[1].decode()}, {'incomplete' if n_bytes < int(answer[2]) else end}"


async def _silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> str:
    return await _ending(reader)


async def _half_a_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(_HEAD[:30])
    return await _ending(reader)


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> str:
    """Send one byte per second."""
    ending = asyncio.create_task(_ending(reader))
    for byte in request:
        writer.write(bytes([byte]))
        if (await asyncio.wait([ending], timeout=1))[0]:
            break
    return await ending


async def _head_in_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    return await _drip(reader, writer, b"GET /livez HTTP/1.1\r\n" + b"A: b\r\n" * _TIMEOUT)


async def _body_in_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(_HEAD)
    return await _drip(reader, writer, bytes(_TIMEOUT))


async def _half_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(_HEAD + bytes(100_000))
    return await _ending(reader)


async def _idle_after_an_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return await _ending(reader)


async def _answer_not_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(b"GET /model/weights HTTP/1.1\r\nHost: localhost\r\n\r\n")
    # The stream buffers a little, and then stops reading from the socket.
    await asyncio.sleep(_NOT_READING_SECONDS)
    return await _ending(reader)


async def _disconnects(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(_HEAD + bytes(1_000_000))
    await writer.drain()
    return "disconnected"


KINDS: Mapping[str, Client] = MappingProxyType(
    {
        "silent": _silent,
        "half a head": _half_a_head,
        "a head, byte by byte": _head_in_bytes,
        "half a body": _half_a_body,
        "a body, byte by byte": _body_in_bytes,
        "idle after an answer": _idle_after_an_answer,
        "answer not read": _answer_not_read,
        "disconnects within a body": _disconnects,
    }
)


async def _one(client: Client, port: int) -> tuple[str, float]:
    """Run one client, and return how its connection ended and after how many seconds."""
    connection = socket.socket()
    # A small receive buffer, so that an answer that is not read blocks the service.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    connection.setblocking(False)  # noqa: FBT003 - has no name
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=connection)
    started = time.perf_counter()
    try:
        async with asyncio.timeout(_TIMEOUT):
            ending = await client(reader, writer)
    except TimeoutError:
        ending = "left open"
    except ConnectionError:
        ending = "reset"
    writer.close()
    return ending, time.perf_counter() - started


def _other_client(port: int, until: Event) -> Counter[str]:
    """Send a picture ten times per second until the event, and count the statuses and transport errors."""
    statuses: Counter[str] = Counter()
    picture = (ROOT / "docs" / "seven.jpg").read_bytes()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        while not until.wait(0.1):
            try:
                statuses[str(client.post("/predict", content=picture).status_code)] += 1
            except httpx.TransportError as error:
                statuses[type(error).__name__] += 1
    return statuses


async def _measure(server: Server, n: int) -> bool:
    """Print a line for each kind, and return whether none failed."""
    passed = True
    print(f"{'kind':26}{'ended':28}{'after seconds':>16}{'other client':>18}{'growth':>12}")
    for kind, client in KINDS.items():
        before = server.rss_mib()
        done = Event()
        others = asyncio.create_task(asyncio.to_thread(_other_client, server.port, done))
        found = await asyncio.gather(*(_one(client, server.port) for _ in range(n)))
        await asyncio.sleep(1)  # until the service has closed the connections
        done.set()
        statuses = await others
        endings = Counter(ending for ending, _ in found)
        seconds = [taken for _, taken in found]
        ended = ", ".join(f"{ending}: {count}" for ending, count in endings.items())
        answered = ", ".join(f"{status}: {count}" for status, count in statuses.items())
        spent = f"{min(seconds):.0f} to {max(seconds):.0f}"
        print(f"{kind:26}{ended:28}{spent:>16}{answered:>18}{server.rss_mib() - before:8.1f} MiB", flush=True)
        passed &= "left open" not in endings and set(statuses) == {"200"}
    return passed


def main() -> int:
    """Measure, print, and return 1 when a kind failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=500, help="number of connections of each kind")
    arguments = parser.parse_args()
    with running_service() as server:
        httpx.get(f"http://127.0.0.1:{server.port}/model/weights", timeout=60)  # computed once and cached
        return 0 if asyncio.run(_measure(server, arguments.connections)) else 1


if __name__ == "__main__":
    sys.exit(main())
