from hub.lib.api import task


@task
def create_dhcp(host):
    """Returns a DHCP lease for a machine."""
    return {"lease": [host["name"], host["ip"]]}
