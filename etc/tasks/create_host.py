from hub.lib.api import task


@task
def create_host(uuid, address):
    """A machine's record, which the later steps are given whole."""
    return {"uuid": uuid, "name": address["name"], "ip": address["ip"]}
