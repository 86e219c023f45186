"""toxiproxy-python with what it lacks: several servers in one process, time-outs, creation in bulk, errors for every bad answer.

The package keeps host and port in a class that its modules name globally, so one process knows one server. `_bound` gives
each server a copy of the package's Proxy, whose methods see a consumer of that server's own in that place.
"""
from collections.abc import Sequence
from contextlib import suppress
from types import FunctionType
from typing import Any

import msgspec

API_PORT = 8474
CONNECT_S = 1.0
TIMEOUT_S = 5.0
REMOVAL_TIMEOUT_S = 20.0
"""Removing a toxic that holds bytes for a connection that is gone takes the server up to 5 s for each chunk held."""


class ToxiproxyError(Exception):
    """The server did not do what was asked, or nobody knows whether it did; the text says what, and the answer."""


class Missing(ToxiproxyError):
    """The server has no such proxy or toxic."""


class Toxic(msgspec.Struct, frozen=True, order=True):
    """One toxic on one stream of a proxy. Its name follows from what it does, so that equal toxics are the same toxic."""

    type: str
    stream: str
    attributes: tuple[tuple[str, int], ...] = ()

    @property
    def name(self) -> str:
        return "-".join([self.type, self.stream, *(str(value) for _, value in self.attributes)])


class Listener(msgspec.Struct, frozen=True):
    """A proxy to be made: where it listens, and where it connects to (`host:port`)."""

    name: str
    listen: str
    upstream: str
    enabled: bool = True


class Toxiproxy:
    """One server's API. Every call blocks, has a time-out, and raises ToxiproxyError where it fails."""

    def __init__(self, host: str, port: int = API_PORT) -> None:
        from toxiproxy import proxy

        self.address = f"{host}:{port}"
        self._consumer = _consumer(host, port)
        self._proxy = _bound(proxy.Proxy, APIConsumer=self._consumer)
        self._known: dict[str, Any] = {}

    def version(self) -> str:
        """The server's version."""
        return str(self._consumer.get("/version").json()["version"])

    def populate(self, listeners: Sequence[Listener]) -> None:
        """Make all of them in one request. One of the same name with another address is made anew, without its toxics."""
        self._consumer.post("/populate", json=[msgspec.to_builtins(listener) for listener in listeners])
        self._known |= {listener.name: self._proxy(**msgspec.to_builtins(listener)) for listener in listeners}

    def recreate(self, listener: Listener) -> None:
        """Destroy the proxy with all that it holds, and make it anew without toxics."""
        self._known[listener.name].destroy()
        self.populate([listener])

    def add(self, proxy: str, toxic: Toxic) -> None:
        """Add the toxic at the end of its stream's chain."""
        self._known[proxy].add_toxic(name=toxic.name, type=toxic.type, stream=toxic.stream, attributes=dict(toxic.attributes))

    def remove(self, proxy: str, toxic: Toxic) -> None:
        """Remove the toxic; no error where it is not there."""
        with suppress(Missing):
            self._known[proxy].destroy_toxic(toxic.name)

    def read(self, proxy: str) -> tuple[bool, frozenset[Toxic]]:
        """Whether the proxy listens and the toxics it has, as the server says now."""
        found = self._known[proxy].toxics().values()
        enabled = bool(self._consumer.get(f"/proxies/{proxy}").json()["enabled"])
        return enabled, frozenset(Toxic(t.type, t.stream, tuple(sorted(t.attributes.items()))) for t in found)

    def enable(self, proxy: str) -> None:
        """Listen (again)."""
        self._known[proxy].enable()

    def disable(self, proxy: str) -> None:
        """Close its connections and stop listening. Blocks while the server dials an upstream that does not answer."""
        self._known[proxy].disable()


def _bound(original: type, **names: Any) -> Any:
    """A copy of the class whose methods see `names` where the original's see their module's globals."""
    methods = {
        name: FunctionType(method.__code__, {**method.__globals__, **names}, name, method.__defaults__, method.__closure__)
        for name, method in vars(original).items()
        if isinstance(method, FunctionType)
    }
    return type(original.__name__, (original,), methods)


def _consumer(host: str, port: int) -> Any:
    """The package's APIConsumer for one server: a session of its own, time-outs, and errors for every bad answer."""
    import requests
    from requests.adapters import HTTPAdapter
    from toxiproxy.api import APIConsumer, validate_response
    from toxiproxy.exceptions import NotFound

    session = requests.Session()
    session.trust_env = False  # a proxy of the environment must not be asked for container addresses
    session.mount("http://", HTTPAdapter(pool_maxsize=32))

    def ask(method: str, url: str, timeout: float, **more: Any) -> Any:
        try:
            response = validate_response(session.request(method, f"http://{host}:{port}{url}", timeout=(CONNECT_S, timeout), **more))
        except requests.RequestException as error:
            raise ToxiproxyError(f"toxiproxy at {host}:{port}: {method} {url}: {error}") from error
        except NotFound as error:
            raise Missing(f"toxiproxy at {host}:{port}: {method} {url}: not found") from error
        except Exception as error:  # the package's own errors have no base but Exception
            raise ToxiproxyError(f"toxiproxy at {host}:{port}: {method} {url}: {error}") from error
        if not response.ok:
            text = response.text.strip()[:200]
            raise ToxiproxyError(f"toxiproxy at {host}:{port}: {method} {url}: status {response.status_code} {text}")
        return response

    class Consumer(APIConsumer):  # type: ignore[misc]
        @classmethod
        def get(cls, url: str, params: Any = None, **more: Any) -> Any:
            return ask("GET", url, TIMEOUT_S, params=params, **more)

        @classmethod
        def delete(cls, url: str, **more: Any) -> Any:
            return ask("DELETE", url, REMOVAL_TIMEOUT_S, **more)

        @classmethod
        def post(cls, url: str, data: Any = None, json: Any = None, **more: Any) -> Any:
            return ask("POST", url, TIMEOUT_S, data=data, json=json, **more)

    Consumer.host, Consumer.port = host, port
    return Consumer
