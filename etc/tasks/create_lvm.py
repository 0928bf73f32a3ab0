from hub.lib.api import task


@task
def create_lvm(host, gigabytes):
    """Returns a volume for a machine."""
    return {"volume": "/dev/vg0/" + host["uuid"], "gigabytes": gigabytes}
