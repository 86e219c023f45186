"""The smoke alarm: a stale write straight to the resource, last of all, and what the resource then holds."""
import asyncio

import msgspec

from diarchy.history.op import Recorder
from diarchy.workloads.writer import Fenced, Probe

TIMEOUT_S = 2.0


async def smoke(writer: Probe, recorder: Recorder, token: int) -> None:
    """Process `smoke` writes with a token that is known to be stale: `ok` if the resource took it, `fail` if its fence refused
    it. All else is `info`: a resource that cannot be reached proves nothing about its fence."""
    id = f"smoke-{recorder.count}"
    recorder.append("smoke", "invoke", "write", id=id, token=token, value="stale")
    try:
        async with asyncio.timeout(TIMEOUT_S):
            answer = await writer.write(id, token, "stale")
    except Fenced as error:
        recorder.append("smoke", "fail", "write", id=id, token=token, error=str(error))
    except Exception as error:
        recorder.append("smoke", "info", "write", id=id, token=token, error=f"{type(error).__name__}: {error}")
    else:
        recorder.append("smoke", "ok", "write", id=id, token=token, value=answer.value)
    finally:
        writer.close()


async def final_read(writer: Probe, recorder: Recorder) -> None:
    """Process `harness` reads the resource's order, fence, boot and value; `info` if it does not answer."""
    recorder.append("harness", "invoke", "read")
    try:
        async with asyncio.timeout(TIMEOUT_S):
            state = await writer.state()
    except Exception as error:
        recorder.append("harness", "info", "read", error=f"{type(error).__name__}: {error}")
    else:
        recorder.append("harness", "ok", "read", value=msgspec.to_builtins(state))
    finally:
        writer.close()
