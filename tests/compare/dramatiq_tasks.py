"""Dramatiq as safe as it can be made on RabbitMQ: a quorum queue, persistent messages, confirms; it acknowledges late
by itself. It has no results over RabbitMQ: that a task has ended is told by a datagram, which costs it less than the
message that Hub and Celery send."""

import logging
import os
import socket

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker


class QuorumBroker(RabbitmqBroker):
    def _build_queue_arguments(self, queue_name):
        return {**super()._build_queue_arguments(queue_name), "x-queue-type": "quorum"}


class Tell(dramatiq.Middleware):
    """Tells the measuring process of every task that has ended and hands nothing on."""

    def __init__(self, address):
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def after_process_message(self, broker, message, *, result=None, exception=None):
        if "pipe_target" not in message.options:
            text = f"failed: {exception}" if exception else str(result)
            self.socket.sendto(text.encode(), self.address)


# Dramatiq would log a warning for each task without a result backend, which costs time.
logging.getLogger("dramatiq").setLevel(logging.ERROR)
# What is not used here is left out: every middleware costs a call for each task.
wanted = [dramatiq.middleware.Retries(), dramatiq.middleware.Pipelines()]
if "COMPARE_TELL" in os.environ:
    wanted.append(Tell(os.environ["COMPARE_TELL"]))
dramatiq.set_broker(QuorumBroker(url=os.environ["COMPARE_BROKER"], confirm_delivery=True, middleware=wanted))


@dramatiq.actor(queue_name="compare.dramatiq", max_retries=0)
def add(one, two):
    return one + two


@dramatiq.actor(queue_name="compare.dramatiq", max_retries=0)
def multiply(one, two):
    return one * two
