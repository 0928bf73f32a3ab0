from hub.lib.api import task


@task
def create_host(uuid, address):
    """Returns the record of a machine, which the later steps take as an argument."""
    return {"uuid": uuid, "name": address["name"], "ip": address["ip"]}
