"""A worker in Python and pika that shares no code with Hub: docs/wire-format.md as a program.

    python3 worker.py amqp://localhost --prefix hub --pool foreign

It has one slot. A thread runs the tasks; everything else, the connection above all, belongs to the main thread.
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

HEARTBEAT_INTERVAL = 5.0  # seconds; the dispatcher gives a worker up after 30 s without one
LONG_AFTER = 1.0  # seconds; from then on a lease holds a task, not its delivery
MAX_REMEMBERED = 1000  # issues that were done, so that a second delivery is not run again


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
    """What names one issue of a task, in every message about it."""
    return {key: task[key] for key in ("id", "issue", "incarnation")}


def now():
    return int(time.time() * 1000)


def run(task):
    """Runs a task and returns its result as the wire format has it."""
    result = dict(issue_of(task), started_at=now())
    try:
        data = TASKS[task["task_name"]](*task["args"], **task["kwargs"])
        result.update(status="SUCCESS", data=json.loads(json.dumps(data, allow_nan=False)))
    except Exception as error:
        details = {"kind": "TASK_FAILED", "type": type(error).__name__, "traceback": traceback.format_exc()}
        result.update(status="FAILED", msg=str(error) or type(error).__name__, error=details)
    return dict(result, ended_at=now())


def parameters(address):
    """From `host`, `host:port` or a whole AMQP address; the virtual host is "/" where there is none."""
    address = address if "://" in address else "amqp://" + address
    return pika.URLParameters(address if address.count("/") > 2 else address + "/%2f")


class Worker:
    def __init__(self, address, prefix, pool):
        self.id = "%s-%s" % (socket.gethostname(), uuid.uuid4().hex[:8])
        self.prefix, self.pool = prefix, pool
        self.todo = queue.SimpleQueue()
        self.waiting = collections.OrderedDict()  # issue -> (task, delivery tag)
        self.running = None  # (task, delivery tag or None once a lease holds it, start)
        self.done = collections.OrderedDict()
        self.leaving = False
        self.connection = pika.BlockingConnection(parameters(address))
        self.consuming = self.connection.channel()
        self.publishing = self.connection.channel()
        self.publishing.confirm_delivery()
        self.declare()
        threading.Thread(target=self.run_tasks, daemon=True).start()

    def declare(self):
        """What a worker declares itself: the queue of its pool and its own queue for control messages. The exchanges
        are the dispatcher's, which has to have been there once."""
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
        self.consuming.basic_qos(prefetch_count=2)  # one that runs, and one that waits
        self.tasks = tasks
        self.subscription = self.consuming.basic_consume(tasks, self.take)
        self.consuming.basic_consume(control, self.heed, auto_ack=True)

    def serve(self):
        beat_at = 0.0
        while not (self.leaving and self.running is None):
            if time.monotonic() >= beat_at:
                self.beat()
                beat_at = time.monotonic() + HEARTBEAT_INTERVAL
            self.connection.process_data_events(time_limit=0.1)
            self.hold_by_lease()
        self.beat()  # with "leaving"
        self.connection.close()

    def take(self, channel, method, properties, body):
        """A task arrives."""
        try:
            task = json.loads(body)
            if task.get("v", 1) > 1 or not isinstance(task["args"], list) or not isinstance(task["kwargs"], dict):
                raise ValueError("not a task of version 1")
            issue = tuple(issue_of(task).values())
            task["task_name"], task["name"]
        except (ValueError, KeyError, TypeError):
            # It goes to the dead-letter queue; the dispatcher settles what it finds there.
            return channel.basic_reject(method.delivery_tag, requeue=False)
        is_here = issue in self.waiting or self.running and tuple(issue_of(self.running[0]).values()) == issue
        if issue in self.done or is_here:
            return channel.basic_ack(method.delivery_tag)
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
        """A task has ended: first its result is confirmed, then its delivery is acknowledged."""
        task, tag, _ = self.running
        self.report(task, dict(result, type="result"))
        if tag is not None:
            self.consuming.basic_ack(tag)
        self.done[tuple(issue_of(task).values())] = True
        while len(self.done) > MAX_REMEMBERED:
            self.done.popitem(last=False)
        self.running = None
        self.start_next()
        if self.subscription is None and not self.leaving:
            self.subscription = self.consuming.basic_consume(self.tasks, self.take)

    def hold_by_lease(self):
        """A task that runs long: `started` is confirmed, then the delivery is acknowledged. What waits behind it goes
        back, since this worker cannot start it soon."""
        if self.running is None or self.running[1] is None or time.monotonic() - self.running[2] < LONG_AFTER:
            return
        task, tag, start = self.running
        ran_ms = int((time.monotonic() - start) * 1000)
        self.report(task, {"type": "started", "tasks": [dict(issue_of(task), ran_ms=ran_ms)]})
        self.consuming.basic_ack(tag)
        self.running = (task, None, start)
        # Nothing more until the slot is free. What was delivered meanwhile arrives before this returns.
        self.consuming.basic_cancel(self.subscription)
        self.subscription = None
        while self.waiting:
            self.give_back(*self.waiting.popitem(last=False)[1], reason="busy")

    def give_back(self, task, tag, reason):
        self.report(task, dict(issue_of(task), type="returned", reason=reason))
        self.consuming.basic_ack(tag)

    def report(self, task, body):
        """Publishes a durable report. Returns when the broker has confirmed it."""
        body = json.dumps(dict(body, v=1, worker=self.id))
        properties = pika.BasicProperties(content_type="application/json", delivery_mode=2)
        self.publishing.basic_publish(self.prefix, "results.%d" % slot(task["id"]), body, properties)

    def heed(self, channel, method, properties, body):
        """The dispatcher tells every worker something."""
        order = json.loads(body)
        if order["type"] == "announce":
            self.beat()
        elif order["type"] == "stop":
            for issue in order["tasks"]:
                waiting = self.waiting.pop(tuple(issue_of(issue).values()), None)
                if waiting is not None:
                    self.consuming.basic_ack(waiting[1])
                # A thread cannot be stopped: what runs goes on, and its result will be ignored.

    def beat(self):
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
