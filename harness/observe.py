"""Asks every node, not through the mesh, whether it leads and in which term."""
import asyncio
from contextlib import suppress

from diarchy.clusters.cluster import Cluster
from diarchy.history.op import Recorder

EVERY_S = 0.1
TIMEOUT_S = 1.0


async def observe(node: str, cluster: Cluster, recorder: Recorder, closing: asyncio.Event) -> None:
    """About ten times a second until `closing`. A question without an answer is `fail`: asking changes nothing."""
    process = f"observer/{node}"
    while not closing.is_set():
        recorder.append(process, "invoke", "observe", node=node)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                seen = await cluster.observe(node)
        except Exception as error:
            recorder.append(process, "fail", "observe", node=node, error=f"{type(error).__name__}: {error}"[:200])
        else:
            recorder.append(process, "ok", "observe", node=node, claimant=seen.claimant, term=seen.term,
                            value={"leads": seen.leads, "role": seen.role})
        with suppress(TimeoutError):
            async with asyncio.timeout(EVERY_S):
                await closing.wait()
