from hub.lib.api import task


@task
def power(host, state):
    """Turns a machine on or off."""
    return {"vm": host["uuid"], "state": state}
