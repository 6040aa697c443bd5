"""Clients that dawdle, stall or leave: when they are closed, and what others notice meanwhile.

    python -m benchmarks.slow [--connections 500]

Starts the service in a process of its own and opens so many connections of one kind at once, one kind after the other.
Meanwhile somebody else asks for the digit in docs/seven.jpg, ten times a second. Prints for each kind how the
connections ended and after how many seconds, how many others were answered, and by how much the process is larger
afterwards. Fails when a connection was left open, or somebody else went without an answer. Needs Linux.
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

from benchmarks.serving import ROOT, Served, served

_HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10000000\r\n\r\n"
# Longer than anything is waited for.
_PATIENCE = 120
_UNFETCHED = 75

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[str]]


async def _ending(reader: asyncio.StreamReader) -> str:
    """Return how a connection ended: with which answer, whole or cut short, or without one."""
    said, n_bytes, end = b"", 0, "closed"
    try:
        while piece := await reader.read(65_536):
            said += piece[: 1000 - len(said)]
            n_bytes += len(piece)
    except ConnectionError:
        end = "broken off"
    answer = re.match(rb"HTTP/1.1 (\d+).*?content-length: (\d+)", said, re.DOTALL)
    if not answer:
        return end
    return f"{answer[1].decode()}, {'cut short' if n_bytes < int(answer[2]) else end}"


async def _silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> str:
    return await _ending(reader)


async def _half_a_head(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(_HEAD[:30])
    return await _ending(reader)


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: bytes) -> str:
    """Send byte by byte, one a second."""
    ending = asyncio.create_task(_ending(reader))
    for byte in what:
        writer.write(bytes([byte]))
        if (await asyncio.wait([ending], timeout=1))[0]:
            break
    return await ending


async def _head_in_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    return await _drip(reader, writer, b"GET /livez HTTP/1.1\r\n" + b"A: b\r\n" * _PATIENCE)


async def _body_in_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(_HEAD)
    return await _drip(reader, writer, bytes(_PATIENCE))


async def _half_a_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(_HEAD + bytes(100_000))
    return await _ending(reader)


async def _idle_after_an_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return await _ending(reader)


async def _answer_not_fetched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(b"GET /model/weights HTTP/1.1\r\nHost: localhost\r\n\r\n")
    # Streams take in a little and wait to be read.
    await asyncio.sleep(_UNFETCHED)
    return await _ending(reader)


async def _leaves(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    writer.write(_HEAD + bytes(1_000_000))
    await writer.drain()
    return "left"


KINDS: Mapping[str, Client] = MappingProxyType(
    {
        "silent": _silent,
        "half a head": _half_a_head,
        "a head, byte by byte": _head_in_bytes,
        "half a body": _half_a_body,
        "a body, byte by byte": _body_in_bytes,
        "idle after an answer": _idle_after_an_answer,
        "answer not fetched": _answer_not_fetched,
        "leaves within a megabyte": _leaves,
    }
)


async def _one(client: Client, port: int) -> tuple[str, float]:
    """Return how one client ended and after how long."""
    connection = socket.socket()
    # It takes in little that it does not read.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    connection.setblocking(False)  # noqa: FBT003 - has no name
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=connection)
    started = time.perf_counter()
    try:
        async with asyncio.timeout(_PATIENCE):
            ending = await client(reader, writer)
    except TimeoutError:
        ending = "left open"
    except ConnectionError:
        ending = "broken off"
    writer.close()
    return ending, time.perf_counter() - started


def _others(port: int, until: Event) -> Counter[str]:
    """Ask for a digit until the event, and count the answers."""
    statuses: Counter[str] = Counter()
    picture = (ROOT / "docs" / "seven.jpg").read_bytes()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        while not until.wait(0.1):
            try:
                statuses[str(client.post("/predict", content=picture).status_code)] += 1
            except httpx.TransportError as error:
                statuses[type(error).__name__] += 1
    return statuses


async def _measure(service: Served, n: int) -> bool:
    """Print a line for each kind, and return whether all was well."""
    well = True
    print(f"{'kind':26}{'ended':28}{'after seconds':>16}{'others answered':>18}{'grown':>12}")
    for kind, client in KINDS.items():
        before = service.mebibytes()
        done = Event()
        others = asyncio.create_task(asyncio.to_thread(_others, service.port, done))
        found = await asyncio.gather(*(_one(client, service.port) for _ in range(n)))
        await asyncio.sleep(1)  # for the service to notice
        done.set()
        statuses = await others
        endings = Counter(ending for ending, _ in found)
        seconds = [taken for _, taken in found]
        told = ", ".join(f"{ending}: {count}" for ending, count in endings.items())
        answered = ", ".join(f"{status}: {count}" for status, count in statuses.items())
        spent = f"{min(seconds):.0f} to {max(seconds):.0f}"
        print(f"{kind:26}{told:28}{spent:>16}{answered:>18}{service.mebibytes() - before:8.1f} MiB", flush=True)
        well &= "left open" not in endings and set(statuses) == {"200"}
    return well


def main() -> int:
    """Measure, print, and return 1 when all was not well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=500, help="how many of each kind")
    arguments = parser.parse_args()
    with served() as service:
        httpx.get(f"http://127.0.0.1:{service.port}/model/weights", timeout=60)  # made when first asked for
        return 0 if asyncio.run(_measure(service, arguments.connections)) else 1


if __name__ == "__main__":
    sys.exit(main())
