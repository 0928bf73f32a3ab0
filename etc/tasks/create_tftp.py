from hub.lib.api import task


@task
def create_tftp(host, notify):
    """Returns a boot file. It contains the id of the task to notify when the machine has booted."""
    return {"file": host["uuid"] + ".cfg", "notify": notify}
