"""Celery as safe as it can be made on RabbitMQ: a quorum queue, persistent messages, confirms, late
acknowledgements, results as persistent messages. Results come over the broker, as Hub's do."""

import os

from celery import Celery

from measure import PREFETCH

app = Celery("compare", broker=os.environ["COMPARE_BROKER"], backend="rpc://")
app.conf.update(
    broker_transport_options={"confirm_publish": True},
    result_persistent=True,
    task_acks_late=True,
    task_acks_on_failure_or_timeout=True,
    task_default_delivery_mode="persistent",
    task_default_queue="compare.celery",
    task_default_queue_type="quorum",
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=PREFETCH // 2,
)


@app.task
def add(one, two):
    return one + two


@app.task
def multiply(one, two):
    return one * two
