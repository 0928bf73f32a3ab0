from hub.lib.api import task


@task
def create_tftp(host, notify):
    """A boot file, which tells the task with the id `notify` when the machine has booted."""
    return {"file": host["uuid"] + ".cfg", "notify": notify}
