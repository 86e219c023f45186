"""What a client of a simulated service is told where its request or the answer does not get through."""
import asyncio

import pytest
from virtual_stage import S, Stage, play

from diarchy.clusters.simulated.services.lease import Lease
from diarchy.clusters.stores import Unreachable
from diarchy.history.faults import Cut, Fault, Kill, Pause, Reset, Stall

THERE, BACK = ("c1", "n1"), ("n1", "c1")


@pytest.mark.parametrize(("fault", "error"), [
    (Reset((THERE, BACK)), Unreachable), (Reset((BACK,)), ConnectionResetError), (Kill("n1"), Unreachable),
    (Cut((THERE,)), TimeoutError), (Cut((BACK,)), TimeoutError), (Stall((BACK,)), TimeoutError), (Pause("n1"), TimeoutError),
])
def test_what_a_client_is_told_under_a_fault_and_after_it(fault: Fault, error: type[Exception]) -> None:
    async def scene(stage: Stage) -> None:
        store = stage.store("c1", "n1")
        await stage.cluster.apply(fault)
        with pytest.raises(error):
            await stage.on("c1", store.grant(2 * S))
        await stage.cluster.lift(fault)
        await asyncio.sleep(2)  # a node that was killed has to be elected first
        assert (await stage.on("c1", store.grant(2 * S))).ttl == 2 * S
    play(scene, Lease(), nodes=1)


def test_nothing_was_done_where_nothing_was_sent_and_it_may_have_been_where_the_answer_was_lost() -> None:
    async def scene(stage: Stage) -> None:
        store = stage.store("c1", "n1")
        grant = await stage.on("c1", store.grant(5 * S))
        for fault, error, there in ((Reset((THERE,)), Unreachable, False), (Reset((BACK,)), ConnectionResetError, True)):
            await stage.cluster.apply(fault)
            with pytest.raises(error):
                await stage.on("c1", store.create("key", "c1", grant.lease))
            await stage.cluster.lift(fault)
            assert (await stage.on("c1", store.holder("key")) is not None) is there
    play(scene, Lease(), nodes=1)
