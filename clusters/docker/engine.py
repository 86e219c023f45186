"""The Docker engine as a run uses it: blocking calls in threads of the run's own, the SDK's errors in our words."""
import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from diarchy.clusters.cluster import ClusterError, NoEngine

P = ParamSpec("P")
T = TypeVar("T")


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
    after `close` has refused new ones. They are daemons, so that none of them (a pull, say) can hold up the end of the process."""

    def __init__(self) -> None:
        self._pending: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._closed = False

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's result, run in a thread. ClusterError where the run is being stopped."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._closed:
                raise ClusterError("the cluster is being stopped")
            self._pending.add(future)

        def work() -> None:
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            finally:
                with self._lock:
                    self._pending.discard(future)

        threading.Thread(target=work, name=f"cluster-{getattr(function, '__name__', 'call')}", daemon=True).start()
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Refuse new calls."""
        with self._lock:
            self._closed = True

    def drain(self, within_s: float) -> bool:
        """Wait for the calls under way; whether all have ended."""
        with self._lock:
            pending = list(self._pending)
        return not wait(pending, timeout=within_s).not_done
