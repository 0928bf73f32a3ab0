from hub.lib.api import task


@task(asynchronous=True)
def order_stamp(what):
    """Orders something and returns. Whoever has it posts it as this task's result, by the task's id."""
    return {"ordered": what, "deliver_to": order_stamp.state.id}
