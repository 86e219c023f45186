"""The wrapper of toxiproxy-python: several servers, time-outs, errors for every bad answer; and a real server."""
import http.server
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from diarchy.clusters.docker import toxiproxy as wrapper
from diarchy.clusters.docker.toxiproxy import Listener, Toxic, Toxiproxy, ToxiproxyError

CUT = Toxic("timeout", "upstream", (("timeout", 0),))
SLOW = Toxic("latency", "downstream", (("jitter", 2), ("latency", 50)))


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers each request with its server's status, and notes it."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.server.asked.append((self.command, self.path, self.rfile.read(length)))  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.end_headers()
        self.wfile.write(b'{"version": "9.9", "proxies": []}')

    do_POST = do_DELETE = do_GET

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def answering() -> Iterator[Any]:
    made = []

    def make(status: int) -> tuple[Toxiproxy, list[tuple[str, str, bytes]], Callable[[int], None]]:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        server.status, server.asked = status, []  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        made.append(server)
        return Toxiproxy("127.0.0.1", server.server_port), server.asked, lambda status: setattr(server, "status", status)  # type: ignore[attr-defined]

    yield make
    for server in made:
        server.shutdown()
        server.server_close()


def test_two_servers_in_one_process_are_two(answering: Any) -> None:
    (one, asked_one, _), (other, asked_other, _) = answering(200), answering(200)
    for server, name in ((one, "a"), (other, "b"), (one, "c")):
        server.populate([Listener(name, "127.0.0.1:1", "127.0.0.1:2")])
        server.add(name, CUT)
    assert [path for _, path, _ in asked_one] == ["/populate", "/proxies/a/toxics", "/populate", "/proxies/c/toxics"]
    assert [path for _, path, _ in asked_other] == ["/populate", "/proxies/b/toxics"]
    assert json.loads(asked_other[1][2])["attributes"] == {"timeout": 0}


@pytest.mark.parametrize("status", [400, 409, 500, 503])
def test_every_bad_answer_is_an_error(answering: Any, status: int) -> None:
    server, _, _ = answering(status)
    with pytest.raises(ToxiproxyError, match=r"GET /version"):
        server.version()


def test_removing_what_is_not_there_is_no_error_but_reading_it_is(answering: Any) -> None:
    server, asked, answer = answering(200)
    server.populate([Listener("a", "127.0.0.1:1", "127.0.0.1:2")])
    answer(404)
    server.remove("a", CUT)
    assert asked[-1][:2] == ("DELETE", "/proxies/a/toxics/timeout-upstream-0")
    with pytest.raises(ToxiproxyError, match="not found"):
        server.read("a")


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrapper, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(ToxiproxyError, match="timed out"):
        Toxiproxy("127.0.0.1", mute.getsockname()[1]).version()


def test_a_proxy_of_the_environment_is_not_asked(answering: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server, asked, _ = answering(200)
    assert server.version() == "9.9"
    assert asked


@pytest.fixture
def servers(engine: Any) -> Iterator[list[Toxiproxy]]:
    """Two real servers."""
    from diarchy.clusters.docker import containers, deployment, images, network, owner
    from diarchy.clusters.docker.sweep import sweep

    run, labels, found = f"test-{os.getpid()}-toxiproxy", owner.current().labels(f"test-{os.getpid()}-toxiproxy"), []
    try:
        made = network.create(engine, run, labels)
        for number in (1, 2):
            spec = containers.Spec(name=f"toxiproxy{number}", image=images.reference("toxiproxy"), command=("-host=0.0.0.0",),
                                   address=made.server(number))
            containers.start(engine, containers.create(engine, run, labels, made, spec))
            found.append(Toxiproxy(made.server(number)))
            deployment.await_toxiproxy(found[-1])
        yield found
    finally:
        sweep(engine, only=run)


@pytest.mark.docker
def test_a_real_server_does_what_it_is_told_and_reads_back(servers: list[Toxiproxy]) -> None:
    one, other = servers
    assert one.version() == other.version()
    listener = Listener("link", "0.0.0.0:10001", "127.0.0.1:8474")
    one.populate([listener, Listener("closed", "0.0.0.0:10002", "127.0.0.1:8474", enabled=False)])
    other.populate([listener])
    one.add("link", CUT)
    one.add("link", SLOW)
    assert one.read("link") == (True, {CUT, SLOW})
    assert other.read("link") == (True, frozenset())
    assert one.read("closed") == (False, frozenset())
    with pytest.raises(ToxiproxyError, match="already exists"):
        one.add("link", CUT)
    one.remove("link", CUT)
    one.remove("link", CUT)
    assert one.read("link") == (True, {SLOW})
    one.recreate(listener)
    assert one.read("link") == (True, frozenset())
    one.disable("link")
    one.enable("closed")
    assert [one.read(name)[0] for name in ("link", "closed")] == [False, True]
    assert other.read("link") == (True, frozenset())


@pytest.mark.docker
def test_errors_of_a_real_server_say_what_and_where(servers: list[Toxiproxy]) -> None:
    one, _ = servers
    with pytest.raises(ToxiproxyError, match=r"/populate.*500"):
        one.populate([Listener("nowhere", "203.0.113.1:1", "127.0.0.1:1")])
    one.populate([Listener("link", "0.0.0.0:10001", "127.0.0.1:8474")])
    with pytest.raises(ToxiproxyError, match="invalid toxic type"):
        one.add("link", Toxic("nonsense", "upstream"))
