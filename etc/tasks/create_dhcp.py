from hub.lib.api import task


@task
def create_dhcp(host):
    """A lease for a machine."""
    return {"lease": [host["name"], host["ip"]]}
