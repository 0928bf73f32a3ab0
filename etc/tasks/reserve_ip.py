from hub.lib.api import task


@task
def reserve_ip(name):
    """Returns an address for a name. The same name always gets the same address."""
    return {"name": name, "ip": "192.0.2.%d" % (sum(name.encode()) % 254 + 1)}
