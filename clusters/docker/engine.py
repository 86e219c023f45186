"""The Docker engine as a run uses it: blocking calls in threads of the run's own, the SDK's errors in our words."""
import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from diarchy.clusters.cluster import ClusterError, NoEngine

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 16


@contextmanager
def asking(doing: str) -> Iterator[None]:
    """Turn the SDK's errors into ClusterError: an engine that is gone, an image that is missing, a refusal."""
    import docker
    import requests

    try:
        yield
    except docker.errors.ImageNotFound as error:
        raise NoEngine(f"{error.explanation}: run `diarchy images build`") from error
    except docker.errors.APIError as error:
        raise ClusterError(f"the Docker engine refused, {doing}: {error.explanation or error}") from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise ClusterError(f"the Docker engine stopped answering: {doing}: {error}") from error


class Threads:
    """Threads for the blocking calls of one run. A call whose caller was cancelled runs on: `drain` waits for such calls,
    after `close` has refused new ones."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="diarchy-cluster")
        self._pending: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._closed = False

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result, run in a thread. ClusterError where the run is being stopped."""
        with self._lock:
            if self._closed:
                raise ClusterError("the cluster is being stopped")
            future = self._pool.submit(function, *args, **kwargs)
            self._pending.add(future)
        future.add_done_callback(self._pending.discard)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Refuse new calls, and drop those that have not begun."""
        with self._lock:
            self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def drain(self, within_s: float) -> bool:
        """Wait for the calls under way; whether all have ended."""
        return not wait(list(self._pending), timeout=within_s).not_done
