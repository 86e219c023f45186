"""The names by which a nemesis says whom it means, looked up at the moment of injection."""
import difflib
import re
from collections.abc import Callable, Iterable
from random import Random
from typing import Literal, Protocol

import msgspec

from diarchy.nemeses.plan import World

RESOURCE = "resource"
Hosts = Literal["node", "candidate", "resource", "all"]


class View(Protocol):
    """Who leads right now, as far as anybody has said. Newest claim first."""

    nodes: tuple[str, ...]
    candidates: tuple[str, ...]

    def leader_nodes(self) -> tuple[str, ...]:
        """Nodes that say that they lead the system itself."""
        ...
    def leaders(self) -> tuple[str, ...]:
        """Candidates in office by their own account."""
        ...


Pick = Callable[[View, Random], tuple[str, ...]]


class Target(msgspec.Struct, frozen=True):
    """One name of the table: what sort of hosts it stands for, which, and how they are found."""

    name: str
    hosts: Hosts
    about: str
    pick: Pick


def _followers(view: View) -> tuple[str, ...]:
    leader = view.leader_nodes()[:1]
    return tuple(n for n in view.nodes if n not in leader) if leader else ()


def _deputies(view: View) -> tuple[str, ...]:
    head = view.leaders()[:1]
    return tuple(c for c in view.candidates if c not in head) if head else ()


def _some(names: tuple[str, ...], count: int, dice: Random) -> tuple[str, ...]:
    chosen = set(dice.sample(names, min(count, len(names))))
    return tuple(name for name in names if name in chosen)


TARGETS = (
    Target("leader", "node", "the node that leads the system itself; of two that claim it, the newer", lambda v, _: v.leader_nodes()[:1]),
    Target("followers", "node", "every node but that one", lambda v, _: _followers(v)),
    Target("follower", "node", "one of the followers, by dice", lambda v, dice: _some(_followers(v), 1, dice)),
    Target("any", "node", "one node, by dice", lambda v, dice: _some(v.nodes, 1, dice)),
    Target("minority", "node", "the largest number of nodes that is no majority, by dice",
           lambda v, dice: _some(v.nodes, (len(v.nodes) - 1) // 2, dice)),
    Target("majority", "node", "the smallest majority of the nodes, by dice",
           lambda v, dice: _some(v.nodes, len(v.nodes) // 2 + 1, dice)),
    Target("nodes", "node", "every node", lambda v, _: v.nodes),
    Target("candidate:leader", "candidate", "the candidate in office by its own account; of two, the newer", lambda v, _: v.leaders()[:1]),
    Target("candidate:followers", "candidate", "every candidate but that one", lambda v, _: _deputies(v)),
    Target("candidate:any", "candidate", "one candidate, by dice", lambda v, dice: _some(v.candidates, 1, dice)),
    Target("candidates", "candidate", "every candidate", lambda v, _: v.candidates),
    Target("resource", "resource", "what the leader writes to", lambda v, _: (RESOURCE,)),
    Target("all", "all", "every node, every candidate and the resource", lambda v, _: (*v.nodes, *v.candidates, RESOURCE)),
)
NAMED = {target.name: target for target in TARGETS}


def resolve(target: str, view: View, dice: Random) -> tuple[str, ...]:
    """The hosts meant right now, in the order of the view; empty while there are none. Raises KeyError for an unknown target."""
    if target in view.nodes or target in view.candidates:
        return (target,)
    return NAMED[target].pick(view, dice)


def hosts(target: str) -> Hosts:
    """What sort of hosts a target stands for, names of single hosts included."""
    if target in NAMED:
        return NAMED[target].hosts
    return "candidate" if target.startswith("c") else "node"


def mistake(target: str, world: World) -> str | None:
    """What is wrong with a target in this world, or None."""
    if target in world.nodes or target in world.candidates:
        return None
    if one := re.fullmatch(r"([nc])\d+", target):
        known, what = (world.nodes, "nodes") if one[1] == "n" else (world.candidates, "candidates")
        return f"there is no {target}; " + (f"the {what} are {known[0]} to {known[-1]}" if known else f"there are no {what}")
    if target not in NAMED:
        return f"unknown target {target!r}" + meant(target, (*NAMED, *world.nodes, *world.candidates))
    if not world.candidates and NAMED[target].hosts == "candidate":
        return "there are no candidates here: the nodes elect a leader among themselves"
    if not world.led and target in ("leader", "follower", "followers"):
        return "no node leads the others here; `any` or n1 is one of them"
    if len(world.nodes) < 2 and target in ("follower", "followers"):
        return "one node alone has no followers"
    if len(world.nodes) < 3 and target == "minority":
        return f"{len(world.nodes)} nodes have no minority; that takes three"
    if len(world.candidates) < 2 and target == "candidate:followers":
        return "one candidate alone has no followers"
    return None


def meant(word: str, known: Iterable[str]) -> str:
    """The end of a complaint about an unknown word: the one that is near, else all that there are."""
    names = list(known)
    near = difflib.get_close_matches(word, names, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(names) or 'none'}"
