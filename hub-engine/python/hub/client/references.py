"""References to values that are known only when the job runs, and conditions on them."""

from typing import Any, Dict, Optional, TYPE_CHECKING, Union

from hub.client.errors import InvalidJob
from hub.client.values import Place, plain, show

if TYPE_CHECKING:
    from hub.client.job import Job

__all__ = [
    "Condition", "First", "Inputs", "Reference", "failure", "first", "index", "item", "job_id", "job_name", "scheduled_at",
    "secret", "template",
]

Operand = Any


class Condition:
    """A condition of the job format, for `when`. Combine conditions with &, | and ~."""

    __slots__ = ("document",)

    def __init__(self, document: Dict[str, Any]) -> None:
        self.document = document

    def __and__(self, other: "Condition") -> "Condition":
        return Condition({"all": [self, other]})

    def __or__(self, other: "Condition") -> "Condition":
        return Condition({"any": [self, other]})

    def __invert__(self) -> "Condition":
        return Condition({"not": self})

    def __bool__(self) -> bool:
        raise TypeError("a condition is known only when the job runs: pass it as when=…, and combine conditions with &, | and ~")

    def __repr__(self) -> str:
        return "Condition(%r)" % (self.document,)


class Reference:
    """A reference: ``a.data["x"][0]`` is written as ``_a.data.x.0``.

    Comparisons (==, !=, <, <=, >, >=) and the methods return a Condition.
    """

    __slots__ = ("_text", "_job", "_has_inside")
    # Iteration by index would not end.
    __iter__ = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, text: str, job: Optional["Job"] = None, has_inside: bool = True) -> None:
        self._text = text
        self._job = job
        self._has_inside = has_inside

    def __getitem__(self, step: Union[str, int]) -> "Reference":
        return Reference("%s.%s" % (self._text, self._step(step)), self._job)

    def _step(self, step: Union[str, int]) -> str:
        if not self._has_inside:
            raise InvalidJob("there is nothing inside of %s, which is a text" % self._text)
        if isinstance(step, int) and not isinstance(step, bool):
            if step < 0:
                raise InvalidJob("%s[%d]: positions are counted from 0" % (self._text, step))
            return str(step)
        if not isinstance(step, str):
            raise InvalidJob("%s[%r]: a step is a key or a position" % (self._text, step))
        if not step or "." in step:
            why = "a reference cannot name an empty key, or one with a dot"
            raise InvalidJob("%s[%r]: %s: refer to the value around it" % (self._text, step, why))
        return step

    def __eq__(self, other: Operand) -> Condition:  # type: ignore[override]
        return Condition({"eq": [self, other]})

    def __ne__(self, other: Operand) -> Condition:  # type: ignore[override]
        return Condition({"ne": [self, other]})

    def __lt__(self, other: Operand) -> Condition:
        return Condition({"lt": [self, other]})

    def __le__(self, other: Operand) -> Condition:
        return Condition({"le": [self, other]})

    def __gt__(self, other: Operand) -> Condition:
        return Condition({"gt": [self, other]})

    def __ge__(self, other: Operand) -> Condition:
        return Condition({"ge": [self, other]})

    def is_in(self, values: Operand) -> Condition:
        """The value is an element of the list, a part of the text, or a key of the object."""
        return Condition({"in": [self, values]})

    def contains(self, value: Operand) -> Condition:
        """The value is in this list, text or object."""
        return Condition({"contains": [self, value]})

    def starts_with(self, text: Operand) -> Condition:
        """This text begins with the text."""
        return Condition({"starts_with": [self, text]})

    def ends_with(self, text: Operand) -> Condition:
        """This text ends with the text."""
        return Condition({"ends_with": [self, text]})

    def exists(self) -> Condition:
        """There is a value at this place. null is a value."""
        return Condition({"exists": self})

    def is_empty(self) -> Condition:
        """The value is null, or a text, a list or an object without content."""
        return Condition({"empty": self})

    def __bool__(self) -> bool:
        raise TypeError("%s is known only when the job runs: use when=…" % self._text)

    def __contains__(self, value: Operand) -> bool:
        raise TypeError("%s is known only when the job runs: use when=reference.contains(value)" % self._text)

    def __format__(self, _: str) -> str:
        raise TypeError("%s is known only when the job runs: a reference is a whole argument, not a part of a text" % self._text)

    def __repr__(self) -> str:
        return "<reference %s>" % self._text


class Inputs(Reference):
    """The inputs of a job: ``job.input.day`` or ``job.input["day"]``."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Reference:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]


class First:
    """The upstream task that has decided the trigger rule: one_success, one_failed or one_done."""

    data = Reference("_.first.data")
    error = Reference("_.first.error")
    id = Reference("_.first.id", has_inside=False)
    name = Reference("_.first.name", has_inside=False)
    status = Reference("_.first.status", has_inside=False)


# The item of a task with for_each, and its number from 0.
item = Reference("_.item")
index = Reference("_.index", has_inside=False)
# In recover: the error of the task. In handlers: how the tasks of the job have ended.
failure = Reference("_.failure")
first = First()
job_id = Reference("_.job.id", has_inside=False)
job_name = Reference("_.job.name", has_inside=False)
# The time of the schedule that has started the job. null if none has.
scheduled_at = Reference("_.job.scheduled_at", has_inside=False)


def secret(name: str) -> Reference:
    """A secret of the worker. It can be in args, kwargs, env and the headers of http."""
    return Reference("_.secret.%s" % name, has_inside=False)


def template(value: Any, place: Place, job: "Job") -> Any:
    """A value with references, as it is written in this job. Texts that begin with an underscore are escaped."""

    def convert(value: Any, place: Place) -> Optional[Any]:
        if isinstance(value, str):
            return "_" + plain(value, place) if value.startswith("_") else None
        if isinstance(value, Reference):
            return _reference(value, place, job)
        if isinstance(value, Condition):
            return plain(value.document, place, convert)
        if hasattr(value, "data") and hasattr(value, "status"):
            raise InvalidJob("%s: pass the data of the task: task.data" % show(place))
        return None

    return plain(value, place, convert)


def _reference(value: Reference, place: Place, job: "Job") -> str:
    if value._job is not None and value._job is not job:
        why = "the reference %s belongs to the job %r" % (value._text, value._job.name)
        raise InvalidJob("%s: %s, not to %r: pass the value in inputs=…" % (show(place), why, job.name))
    return value._text
