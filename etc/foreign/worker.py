"""A worker in Python and pika that shares no code with Hub: it implements docs/wire-format.md.

    python3 worker.py amqp://localhost --prefix hub --pool foreign

It has one slot. A thread runs the tasks. The main thread does everything else, and only it uses the connection.
"""

import argparse
import collections
import json
import os
import queue
import signal
import socket
import threading
import time
import traceback
import uuid

import pika

HEARTBEAT_INTERVAL = 5.0  # seconds; the lease of a worker's tasks expires after 30 s without a heartbeat
LONG_AFTER = 1.0  # seconds; a task that runs longer is held by a lease instead of its delivery
MAX_REMEMBERED = 1000  # number of finished and of stopped issues that are remembered, for later deliveries


def reverse(text):
    return text[::-1]


def nap(seconds):
    time.sleep(seconds)
    return "slept for %s s" % seconds


def fail(message):
    raise ValueError(message)


TASKS = {function.__name__: function for function in (reverse, nap, fail)}


def slot(an_id):
    """The slot of a job or a task: FNV-1a over the first twelve bytes of its id."""
    value = 0x811C9DC5
    for byte in uuid.UUID(an_id).bytes[:12]:
        value = (value ^ byte) * 0x01000193 % 2**32
    return value % 64


def issue_of(task):
    """The keys that identify an issue of a task in every message about it."""
    return {key: task[key] for key in ("id", "issue", "incarnation")}


def remember(issues, issue):
    """Adds an issue to a bounded collection."""
    issues[issue] = True
    while len(issues) > MAX_REMEMBERED:
        issues.popitem(last=False)


def now():
    return int(time.time() * 1000)


def run(task):
    """Runs a task and returns its result in the wire format."""
    result = dict(issue_of(task), started_at=now())
    try:
        data = TASKS[task["task_name"]](*task["args"], **task["kwargs"])
        result.update(status="SUCCESS", data=json.loads(json.dumps(data, allow_nan=False)))
    except Exception as error:
        details = {"kind": "TASK_FAILED", "type": type(error).__name__, "traceback": traceback.format_exc()}
        result.update(status="FAILED", msg=str(error) or type(error).__name__, error=details)
    return dict(result, ended_at=now())


def parameters(address):
    """Parses `host`, `host:port` or an AMQP URL. The default virtual host is "/"."""
    address = address if "://" in address else "amqp://" + address
    return pika.URLParameters(address if address.count("/") > 2 else address + "/%2f")


class Worker:
    def __init__(self, address, prefix, pool):
        self.id = "%s-%s" % (socket.gethostname(), uuid.uuid4().hex[:8])
        self.prefix, self.pool = prefix, pool
        self.todo = queue.SimpleQueue()
        self.waiting = collections.OrderedDict()  # issue -> (task, delivery tag)
        self.running = None  # (task, delivery tag, or None once the lease has begun, start)
        self.done = collections.OrderedDict()
        self.stopped = collections.OrderedDict()  # issues that were stopped before they arrived
        self.leaving = False
        self.connection = pika.BlockingConnection(parameters(address))
        self.consuming = self.connection.channel()
        self.publishing = self.connection.channel()
        self.publishing.confirm_delivery()
        self.declare()
        threading.Thread(target=self.run_tasks, daemon=True).start()

    def declare(self):
        """Declares the queue of the pool and the worker's queue for control messages. The exchanges are declared by the
        dispatcher, which must have been started on this broker before."""
        tasks, control = "%s.tasks.%s" % (self.prefix, self.pool), "%s.control.%s" % (self.prefix, self.id)
        arguments = {
            "x-queue-type": "quorum",
            "x-delivery-limit": 20,
            "x-dead-letter-exchange": self.prefix + ".dead",
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
        self.consuming.queue_declare(tasks, durable=True, arguments=arguments)
        self.consuming.queue_bind(tasks, self.prefix + ".tasks", self.pool)
        self.consuming.queue_declare(control, exclusive=True, auto_delete=True)
        self.consuming.queue_bind(control, self.prefix + ".control", "")
        self.consuming.basic_qos(prefetch_count=2)  # one running task and one waiting task
        self.tasks = tasks
        self.subscription = self.consuming.basic_consume(tasks, self.on_task)
        self.consuming.basic_consume(control, self.on_control, auto_ack=True)

    def serve(self):
        next_heartbeat = 0.0
        while not (self.leaving and self.running is None):
            if time.monotonic() >= next_heartbeat:
                self.send_heartbeat()
                next_heartbeat = time.monotonic() + HEARTBEAT_INTERVAL
            self.connection.process_data_events(time_limit=0.1)
            self.switch_to_lease()
        self.send_heartbeat()  # with "leaving"
        self.connection.close()

    def on_task(self, channel, method, properties, body):
        """Handles the delivery of a task."""
        try:
            task = json.loads(body)
            if task.get("v", 1) > 1 or not isinstance(task["args"], list) or not isinstance(task["kwargs"], dict):
                raise ValueError("not a task of version 1")
            issue = tuple(issue_of(task).values())
            task["task_name"], task["name"]
        except (ValueError, KeyError, TypeError):
            # The broker moves it to the dead-letter queue, which the dispatcher reads.
            return channel.basic_reject(method.delivery_tag, requeue=False)
        is_here = issue in self.waiting or self.running and tuple(issue_of(self.running[0]).values()) == issue
        if issue in self.done or is_here:
            return channel.basic_ack(method.delivery_tag)
        if issue in self.stopped:
            return self.give_back(task, method.delivery_tag, "stopped")
        if task["task_name"] not in TASKS:
            return self.give_back(task, method.delivery_tag, "unknown_module")
        if self.leaving:
            return self.give_back(task, method.delivery_tag, "draining")
        if self.running and self.running[1] is None:
            return self.give_back(task, method.delivery_tag, "busy")
        self.waiting[issue] = (task, method.delivery_tag)
        self.start_next()

    def start_next(self):
        if self.running is None and self.waiting:
            task, tag = self.waiting.popitem(last=False)[1]
            self.running = (task, tag, time.monotonic())
            self.todo.put(task)

    def run_tasks(self):
        while True:
            result = run(self.todo.get())
            self.connection.add_callback_threadsafe(lambda result=result: self.end(result))

    def end(self, result):
        """Handles the end of a task. The delivery is acknowledged after the broker has confirmed the result."""
        task, tag, _ = self.running
        self.report(task, dict(result, type="result"))
        if tag is not None:
            self.consuming.basic_ack(tag)
        remember(self.done, tuple(issue_of(task).values()))
        self.running = None
        self.start_next()
        if self.subscription is None and not self.leaving:
            self.subscription = self.consuming.basic_consume(self.tasks, self.on_task)

    def switch_to_lease(self):
        """Reports a long task as `started`, waits for the confirm and acknowledges the delivery. Then it returns the
        waiting tasks, since this worker cannot start them soon."""
        if self.running is None or self.running[1] is None or time.monotonic() - self.running[2] < LONG_AFTER:
            return
        task, tag, start = self.running
        ran_ms = int((time.monotonic() - start) * 1000)
        self.report(task, {"type": "started", "tasks": [dict(issue_of(task), ran_ms=ran_ms)]})
        self.consuming.basic_ack(tag)
        self.running = (task, None, start)
        # No further deliveries until the slot is free. Deliveries on their way arrive before this call returns.
        self.consuming.basic_cancel(self.subscription)
        self.subscription = None
        while self.waiting:
            self.give_back(*self.waiting.popitem(last=False)[1], reason="busy")

    def give_back(self, task, tag, reason):
        self.report(task, dict(issue_of(task), type="returned", reason=reason))
        self.consuming.basic_ack(tag)

    def report(self, task, body):
        """Publishes a persistent message and waits for the broker's confirm."""
        body = json.dumps(dict(body, v=1, worker=self.id))
        properties = pika.BasicProperties(content_type="application/json", delivery_mode=2)
        self.publishing.basic_publish(self.prefix, "results.%d" % slot(task["id"]), body, properties)

    def on_control(self, channel, method, properties, body):
        """Handles a control message, which the dispatcher sends to every worker."""
        message = json.loads(body)
        if message["type"] == "announce":
            self.send_heartbeat()
        elif message["type"] == "stop":
            for issue in message["tasks"]:
                issue = tuple(issue_of(issue).values())
                waiting = self.waiting.pop(issue, None)
                if waiting is not None:
                    self.give_back(*waiting, reason="stopped")
                remember(self.stopped, issue)
                # A thread cannot be stopped: a running task continues, and its result is reported.

    def send_heartbeat(self):
        held = [issue_of(self.running[0])] if self.running and self.running[1] is None else []
        present = [issue_of(task) for task, _ in self.waiting.values()]
        if self.running and self.running[1] is not None:
            present.append(issue_of(self.running[0]))
        body = {
            "v": 1, "worker": self.id, "host": socket.gethostname(), "pid": os.getpid(), "pools": [self.pool], "slots": 1,
            "running": int(self.running is not None), "held": held, "present": present,
            "tasks": {name: None for name in TASKS}, "broken": {}, "leaving": self.leaving and self.running is None,
        }
        properties = pika.BasicProperties(content_type="application/json")
        key = "heartbeat." + self.id
        self.publishing.basic_publish(self.prefix + ".events", key, json.dumps(body), properties)

    def leave(self, *_):
        self.leaving = True


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address", help="amqp://user:password@host:port/vhost")
    parser.add_argument("--prefix", default="hub", help="the Hub's prefix")
    parser.add_argument("--pool", default="default", help="the pool to serve")
    options = parser.parse_args()
    worker = Worker(options.address, options.prefix, options.pool)
    signal.signal(signal.SIGTERM, worker.leave)
    signal.signal(signal.SIGINT, worker.leave)
    print("serving the pool %s as %s" % (options.pool, worker.id), flush=True)
    worker.serve()


if __name__ == "__main__":
    main()
