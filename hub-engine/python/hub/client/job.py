"""Builds jobs: writes the JSON of the job format with references and dependencies.

    job = Job("etl")
    a = job.task("add", 1, 2)
    b = job.task("multiply", a.data, 2)
    job.output = b.data
"""

import difflib
import json
from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple, Union

from hub.client.errors import InvalidJob
from hub.client.options import job_options, task_options
from hub.client.references import Inputs, Reference, template
from hub.client.values import moment, plain

__all__ = ["Job", "Task"]

# The lists of tasks of a job.
_LISTS = ("tasks", "on_failure", "finally")


class Task:
    """A task of a job that is being built. Its attributes are references for other tasks and for the output."""

    def __init__(self, job: "Job", name: str) -> None:
        self.job = job
        self.name = name

    @property
    def data(self) -> Reference:
        """What the task returns. A path may follow: ``task.data["x"][0]``."""
        return self._reference("data")

    @property
    def status(self) -> Reference:
        """How the task ends, such as SUCCESS."""
        return self._reference("status", False)

    @property
    def error(self) -> Reference:
        """Why the task failed: ``task.error["type"]``. null if it did not fail."""
        return self._reference("error")

    @property
    def id(self) -> Reference:
        """The id of the task."""
        return self._reference("id", False)

    def _reference(self, attribute: str, has_inside: bool = True) -> Reference:
        if self.name.startswith("_"):
            why = "a reference cannot name it, because two underscores are the escape of one"
            raise InvalidJob("the name of the task %r begins with an underscore: %s" % (self.name, why))
        return Reference("_%s.%s" % (self.name, attribute), self.job, has_inside)

    def __repr__(self) -> str:
        return "<task %s of the job %s>" % (self.name, self.job.name)


Depends = Union[Task, str, Iterable[Union[Task, str]], None]


class Job:
    """A job that is being built.

    Options are the keys of a job: inputs, input_schema, priority, retry, timeout, start_at, deadline, handler_deadline, key,
    labels, meta. Durations can be timedeltas, and times aware datetimes. `output` is set afterwards, and is any value with
    references.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self.name: str = plain(name, "name")
        self.output: Any = None
        self._options = job_options(options)
        self._lists: Dict[str, List[Dict[str, Any]]] = {key: [] for key in _LISTS}
        self._names: Dict[str, Task] = {}
        # The last number of each default name, so that long jobs are built in a short time.
        self._numbers: Dict[str, int] = {}

    @property
    def input(self) -> Inputs:
        """The inputs of the job: ``job.input.day``, or ``job.input["day"]``."""
        return Inputs("_.input", self)

    def task(
        self,
        module: str,
        *args: Any,
        name: Optional[str] = None,
        kwargs: Optional[Mapping[str, Any]] = None,
        depends: Depends = None,
        **options: Any,
    ) -> Task:
        """Adds a task that runs a task module. `kwargs` are the keyword arguments of the module.

        Without a `name`, the task has the name of the module, with a number if another task has this name. Options are the
        keys of a task: when, for_each, retry, timeout, delay, trigger_rule, pool, priority, recover, cache, meta; and
        handler ("on_failure" or "finally"), which adds the task to a list of handlers.
        """
        module = plain(module, "module")
        own, path = self._name(name, module)
        document: Dict[str, Any] = {"name": own}
        if own != module:
            document["task_name"] = module
        if args:
            document["args"] = template(args, path + ".args", self)
        if kwargs is not None:
            document["kwargs"] = template(_object(kwargs, path + ".kwargs"), path + ".kwargs", self)
        return self._add(document, depends, options)

    def command(
        self,
        *command: Any,
        name: Optional[str] = None,
        env: Optional[Mapping[str, Any]] = None,
        cwd: Optional[str] = None,
        output: Optional[str] = None,
        depends: Depends = None,
        **options: Any,
    ) -> Task:
        """Adds a task that runs a program: ``job.command("seq", 1, 5)``. Workers must allow commands."""
        own, path = self._name(name, "command")
        if not command:
            raise InvalidJob("%s.command: name the program" % path)
        document = {"name": own, "command": template(command, path + ".command", self)}
        return self._add_program(document, path, env, cwd, output, depends, options)

    def shell(
        self,
        text: str,
        *,
        name: Optional[str] = None,
        env: Optional[Mapping[str, Any]] = None,
        cwd: Optional[str] = None,
        output: Optional[str] = None,
        depends: Depends = None,
        **options: Any,
    ) -> Task:
        """Adds a task that runs a text with ``/bin/sh -c``. Nothing is replaced in the text: pass values in `env`."""
        own, path = self._name(name, "shell")
        document = {"name": own, "shell": plain(text, path + ".shell")}
        return self._add_program(document, path, env, cwd, output, depends, options)

    def http(
        self,
        url: Any,
        *,
        method: Optional[str] = None,
        headers: Optional[Mapping[str, Any]] = None,
        body: Any = None,
        name: Optional[str] = None,
        depends: Depends = None,
        **options: Any,
    ) -> Task:
        """Adds a task that sends an HTTP request. Workers must allow requests."""
        own, path = self._name(name, "http")
        given = {"method": method, "url": url, "headers": headers, "body": body}
        request = {key: value for key, value in given.items() if value is not None}
        return self._add({"name": own, "http": template(request, path + ".http", self)}, depends, options)

    def wait(
        self,
        *,
        until: Any = None,
        signal: Optional[str] = None,
        count: Optional[int] = None,
        approval: Union[Mapping[str, Any], str, None] = None,
        timeout: Any = None,
        on_timeout: Any = None,
        name: Optional[str] = None,
        depends: Depends = None,
        **options: Any,
    ) -> Task:
        """Adds a task that waits: `until` a time or a duration has passed, for a `signal`, or for an `approval`.

        `approval` is an object of the job format, or its message.
        """
        kinds = {"until": until, "signal": signal, "approval": approval}
        given = [kind for kind, value in kinds.items() if value is not None]
        if len(given) != 1:
            raise InvalidJob("a wait has exactly one of until, signal and approval, not %s" % (", ".join(given) or "none"))
        own, path = self._name(name, signal if signal is not None else given[0])
        path += ".wait"
        document: Dict[str, Any] = {}
        if isinstance(until, Reference):
            document["until"] = template(until, path + ".until", self)
        elif until is not None:
            document["until"] = moment(until, path + ".until")
        elif signal is not None:
            document["signal"] = plain(signal, path + ".signal")
        else:
            question = {"message": approval} if isinstance(approval, str) else dict(approval or {})
            document["approval"] = plain({key: value for key, value in question.items() if key != "message"}, path)
            if "message" in question:
                document["approval"]["message"] = template(question["message"], path + ".approval.message", self)
        if count is not None:
            document["count"] = plain(count, path + ".count")
        if timeout is not None:
            document["timeout"] = moment(timeout, path + ".timeout")
        if on_timeout is not None:
            document["on_timeout"] = plain(on_timeout, path + ".on_timeout")
        return self._add({"name": own, "wait": document}, depends, options)

    def sub_job(
        self,
        job: Union["Job", Mapping[str, Any], str],
        *,
        inputs: Optional[Mapping[str, Any]] = None,
        detached: Optional[bool] = None,
        name: Optional[str] = None,
        depends: Depends = None,
        **options: Any,
    ) -> Task:
        """Adds a task that runs a job: another Job, or a definition such as "etl@7". `inputs` is what its tasks read."""
        inner: Any = job
        if isinstance(job, Job):
            if job is self:
                raise InvalidJob("the job %r cannot run itself" % self.name)
            inner = job.document()
        elif not isinstance(job, str):
            inner = plain(job, "job")
        called = inner.partition("@")[0] if isinstance(inner, str) else str(inner.get("name", "job"))
        own, path = self._name(name, called)
        document: Dict[str, Any] = {"name": own, "job": inner}
        if inputs is not None:
            document["inputs"] = template(_object(inputs, path + ".inputs"), path + ".inputs", self)
        if detached is not None:
            document["detached"] = bool(detached)
        return self._add(document, depends, options)

    def document(self) -> Dict[str, Any]:
        """The job as a document of the job format. It is a copy."""
        if not self._lists["tasks"]:
            raise InvalidJob("the job %r has no tasks: add one with task()" % self.name)
        document: Dict[str, Any] = {"name": self.name}
        document.update(self._options)
        document.update({key: tasks for key, tasks in self._lists.items() if tasks})
        if self.output is not None:
            document["output"] = template(self.output, "output", self)
        copied: Dict[str, Any] = plain(document)
        return copied

    def json(self, indent: Optional[int] = None) -> str:
        """The job as JSON text."""
        return json.dumps(self.document(), ensure_ascii=False, allow_nan=False, indent=indent)

    def __repr__(self) -> str:
        return "<job %s with %d tasks>" % (self.name, len(self._names))

    def _name(self, name: Optional[str], default: str) -> Tuple[str, str]:
        """The name of a new task, and the name in messages. A default gets a number if it is taken."""
        if name is not None:
            own: str = plain(name, "name")
            if "." in own or not own:
                raise InvalidJob("the name of a task has no dots and is not empty, not %r: a dot ends it in references" % own)
            if own in self._names:
                raise InvalidJob("the job %r has a task %r already: choose another name" % (self.name, own))
            return own, "task %s" % own
        base = default.replace(".", "_").strip("_") or "task"
        number = self._numbers.get(base, 1)
        own = base if number == 1 else "%s_%d" % (base, number)
        while own in self._names:
            number += 1
            own = "%s_%d" % (base, number)
        self._numbers[base] = number
        return own, "task %s" % own

    def _add_program(
        self,
        document: Dict[str, Any],
        path: str,
        env: Optional[Mapping[str, Any]],
        cwd: Optional[str],
        output: Optional[str],
        depends: Depends,
        options: Dict[str, Any],
    ) -> Task:
        if env is not None:
            document["env"] = template(_object(env, path + ".env"), path + ".env", self)
        for key, value in (("cwd", cwd), ("output", output)):
            if value is not None:
                document[key] = plain(value, "%s.%s" % (path, key))
        return self._add(document, depends, options)

    def _add(self, document: Dict[str, Any], depends: Depends, options: Dict[str, Any]) -> Task:
        own = document["name"]
        handler = options.pop("handler", None)
        if handler not in (None, "on_failure", "finally"):
            raise InvalidJob('task %s: handler is "on_failure" or "finally", not %r' % (own, handler))
        if depends is not None:
            document["depends"] = self._depends(depends, own)
        document.update(task_options(options, "task %s" % own, self))
        self._lists[handler or "tasks"].append(document)
        self._names[own] = Task(self, own)
        return self._names[own]

    def _depends(self, depends: Depends, own: str) -> List[str]:
        given = [depends] if isinstance(depends, (Task, str)) else list(depends or ())
        names = []
        for each in given:
            if isinstance(each, Task) and each.job is not self:
                raise InvalidJob("task %s: %r is not a task of the job %r" % (own, each, self.name))
            name = each.name if isinstance(each, Task) else plain(each, "task %s.depends" % own)
            if not isinstance(name, str):
                raise InvalidJob("task %s: depends names tasks, not %r" % (own, each))
            if name not in self._names:
                near = difflib.get_close_matches(name, self._names, 1)
                hint = "did you mean %s?" % near[0] if near else "add that task first"
                raise InvalidJob("task %s: there is no task %r to depend on: %s" % (own, name, hint))
            names.append(name)
        return names


def _object(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidJob("%s is a dict, not %s" % (path, type(value).__name__))
    return value
