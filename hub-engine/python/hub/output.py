"""Where what a task prints goes: into its own log, never into the protocol."""

import contextvars
import io

_log = contextvars.ContextVar("hub_task_log", default=None)


class Log:
    """The end of what one task printed."""

    __slots__ = ("limit", "parts", "size", "dropped")

    def __init__(self, limit):
        self.limit = limit
        self.parts = []
        self.size = 0
        self.dropped = False

    def write(self, text):
        self.parts.append(text)
        self.size += len(text)
        if self.size > 2 * self.limit:
            self._shorten()

    def _shorten(self):
        text = "".join(self.parts)
        if len(text) > self.limit:
            text = text[-self.limit:]
            self.dropped = True
        self.parts = [text]
        self.size = len(text)

    def text(self):
        if self.size > self.limit:
            self._shorten()
        text = "".join(self.parts)
        return "[earlier output was dropped]\n" + text if self.dropped else text


class Stream(io.TextIOBase):
    """Stands for sys.stdout and sys.stderr: leads what is written to the task that writes it."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, beneath):
        self.beneath = beneath
        # What threads of a sync task write has no context: it is the running task's.
        self.running = None

    def writable(self):
        return True

    def fileno(self):
        return self.beneath.fileno()

    def isatty(self):
        return False

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not %s" % type(text).__name__)
        log = _log.get() or self.running
        if log is not None:
            log.write(text)
        else:
            self.beneath.write(text)
        return len(text)

    def flush(self):
        self.beneath.flush()


def attach(log):
    """What this context prints belongs to `log`."""
    return _log.set(log)


def detach(token):
    _log.reset(token)
