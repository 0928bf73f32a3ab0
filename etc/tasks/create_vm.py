from hub.lib.api import task


@task
def create_vm(host):
    """Creates a machine from its record."""
    return {"vm": host["uuid"], "state": "off"}
