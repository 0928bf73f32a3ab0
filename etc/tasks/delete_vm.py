from hub.lib.api import task


@task
def delete_vm(vm):
    """Takes a machine away."""
    return {"deleted": vm}
