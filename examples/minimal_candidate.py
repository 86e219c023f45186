#!/usr/bin/env python3
"""A candidate with nothing but the standard library: docs/candidate-protocol.md against etcd's JSON gateway.

It shows how little a program needs to be tested, not how to elect a leader: it renews in its working loop and does not look at
its own deadline. See what diarchy says of it:

    workload: {kind: lock, command: [python3, examples/minimal_candidate.py]}
"""
import json
import os
import select
import sys
import time
import urllib.error
import urllib.request
from base64 import b64encode
from contextlib import suppress
from functools import partial

inbox, numbers = b"", iter(range(1, 10**9))


def tell(**line):
    os.write(1, json.dumps(line).encode() + b"\n")


def now():
    return time.monotonic_ns() - init["epoch"]


def post(url, body):
    """The answer. HTTPError has an answer too; anything else means: unknown."""
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode()), timeout=timeout_s) as answer:
        return json.load(answer)


def op(f, process, work, **about):
    """Say it, do it, say what came of it. `work` returns what the `ok` has beside, or None for a refusal."""
    tell(process=process, type="invoke", f=f, time=now(), **about)
    try:
        result = work()
    except (OSError, ValueError) as error:
        tell(process=process, type="info", f=f, time=now(), error=repr(error), **about)
        return None
    tell(process=process, type="fail" if result is None else "ok", f=f, time=now(), **{**about, **(result or {})})
    return result


def acquire(sent):
    key = b64encode(init["key"].encode()).decode()
    txn = post(f"{etcd}/v3/kv/txn", {
        "compare": [{"key": key, "target": "CREATE", "create_revision": "0"}],
        "success": [{"request_put": {"key": key, "value": b64encode(init["claimant"].encode()).decode(), "lease": lease["ID"]}}]})
    return {"token": int(txn["header"]["revision"]), "sent": sent, "ttl": int(lease["TTL"]) * 10**9} if txn.get("succeeded") else None


def renew():
    kept = post(f"{etcd}/v3/lease/keepalive", {"ID": lease["ID"]})["result"]
    return {"ttl": int(kept["TTL"]) * 10**9} if kept.get("TTL") else None


def write(id, token):
    try:
        return {"value": post(f"http://{init['resource']}/write", {"id": id, "token": token, "value": id})}
    except urllib.error.HTTPError as error:
        if error.code == 409:
            return None
        raise


def lines(wait_s):
    """The lines that came in, as they come, until nothing comes for so long."""
    global inbox
    while select.select([0], [], [], wait_s)[0]:
        data = os.read(0, 65536)
        inbox += data or b'{"type": "stop"}\n'
        *whole, inbox = inbox.split(b"\n")
        yield from map(json.loads, whole)
        if not data:
            return


def stopped(wait_s):
    return any(line["type"] == "stop" for line in lines(wait_s))


def lead(token):
    """Write and renew until a renewal is refused or diarchy says stop; True for stop."""
    renewed = now()
    while True:
        id = f"{init['claimant']}-{next(numbers)}"
        op("write", "write", partial(write, id, token), id=id, token=token)
        if now() - renewed > options["renew_every"]:
            renewed = now()
            tell(process="tick", type="ok", f="tick", time=renewed)
            if op("renew", "renew", renew) is None:
                tell(process="elect", type="ok", f="step-down", time=now())
                return False
        if stopped(options["write_every"] / 1e9):
            tell(process="elect", type="ok", f="step-down", time=now())
            op("release", "elect", lambda: post(f"{etcd}/v3/lease/revoke", {"ID": lease["ID"]}) and {})
            return True


for line in lines(3600):
    if line["type"] == "init":
        init, options = line, line["options"]
        etcd = "http://" + next(iter(init["nodes"].values()))
        timeout_s = options["ttl"] / 4e9
        tell(type="ready", time=now())
    elif line["type"] == "ping":
        tell(type="pong", id=line["id"], time=now())
    elif line["type"] == "stop":
        sys.exit()
    elif line["type"] == "go":
        break
while not stopped(0.2):
    sent = now()
    try:
        lease = post(f"{etcd}/v3/lease/grant", {"TTL": str(options["ttl"] // 10**9)})
    except OSError:
        continue
    won = op("acquire", "elect", partial(acquire, sent), tenure=lease["ID"])
    if won is None:
        with suppress(OSError):
            post(f"{etcd}/v3/lease/revoke", {"ID": lease["ID"]})
    elif lead(won["token"]):
        break
