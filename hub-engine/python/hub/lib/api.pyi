"""The types of hub.lib.api. Type checkers read this file; Python does not, so that processes of a worker start faster."""

from datetime import timedelta
from typing import Any, Callable, Dict, Generic, List, Optional, TypeVar, Union, overload

# Part of every type checker: it need not be installed.
from typing_extensions import ParamSpec

__all__ = ["Fatal", "Retry", "State", "Stopped", "Task", "task"]

_P = ParamSpec("_P")
_R = TypeVar("_R", covariant=True)
_Retry = Union[int, Dict[str, Any], None]
_Timeout = Union[str, float, timedelta, Dict[str, Any], None]

class Retry(Exception):
    after: Optional[float]
    def __init__(self, *args: object, after: Union[float, timedelta, None] = None) -> None: ...

class Fatal(Exception): ...

class Stopped(SystemExit): ...

class State:
    id: str
    parent_id: str
    name: str
    task_name: str
    args: List[Any]
    kwargs: Dict[str, Any]
    attempt: int
    last_progress: Any
    def progress(self, value: Any) -> None: ...

class Task(Generic[_P, _R]):
    __name__: str
    function: Callable[_P, _R]
    asynchronous: bool
    coroutine: bool
    defaults: Dict[str, Any]
    def __init__(
        self, function: Callable[_P, _R], asynchronous: bool = False, defaults: Optional[Dict[str, Any]] = None
    ) -> None: ...
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
    @property
    def state(self) -> Union[State, Any]: ...  # None outside of a run, which tasks need not check.

@overload
def task(
    function: Callable[_P, _R], *, asynchronous: bool = False, retry: _Retry = None, timeout: _Timeout = None
) -> Task[_P, _R]: ...
@overload
def task(
    function: None = None, *, asynchronous: bool = False, retry: _Retry = None, timeout: _Timeout = None
) -> Callable[[Callable[_P, _R]], Task[_P, _R]]: ...
