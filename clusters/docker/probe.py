"""One question over a new connection, to see what a link does to it."""
import asyncio
from typing import Literal

import msgspec


class Answer(msgspec.Struct, frozen=True):
    """`answered` with the round trip in ns, `closed` without an answer, or `silent` until the bound."""

    outcome: Literal["answered", "closed", "silent"]
    round_trip: int = 0


def http_get(path: str) -> bytes:
    """A question for servers that speak HTTP. They keep the connection, so that its end is never taken for the link's doing."""
    return f"GET {path} HTTP/1.1\r\nHost: diarchy\r\n\r\n".encode()


async def ask(address: str, question: bytes, within_s: float) -> Answer:
    """Connect to `host:port`, send the question, wait for the first bytes of an answer. Never raises for what the link does."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    writer = None
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_connection(host, int(port))
            asked = loop.time()
            writer.write(question)
            await writer.drain()
            if not await reader.read(1):
                return Answer("closed")
            return Answer("answered", round((loop.time() - asked) * 1e9))
    except TimeoutError:
        return Answer("silent")
    except OSError:
        return Answer("closed")
    finally:
        if writer is not None:
            # Not close(): what a stalled link still holds must not keep this end waiting.
            writer.transport.abort()
