from hub.lib.api import task


@task
def delete_vm(vm):
    """Deletes a machine."""
    return {"deleted": vm}
