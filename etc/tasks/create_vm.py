from hub.lib.api import task


@task
def create_vm(host):
    """A machine from its record."""
    return {"vm": host["uuid"], "state": "off"}
