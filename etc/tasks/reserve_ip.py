from hub.lib.api import task


@task
def reserve_ip(name):
    """An address for a name: always the same one."""
    return {"name": name, "ip": "192.0.2.%d" % (sum(name.encode()) % 254 + 1)}
