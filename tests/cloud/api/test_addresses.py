"""Private addresses ("Amazon VPC User Guide, Subnet CIDR blocks"; Amazon EC2 API Reference, CreateNetworkInterface)."""

from __future__ import annotations

import pytest


def test_five_addresses_of_a_subnet_are_reserved(cloud, addresses):
    """Amazon VPC User Guide, Subnet CIDR blocks: the first four and the last."""
    subnet = cloud.subnet("10.20.1.0/28")
    assert cloud.free(subnet) == 11
    found = addresses(cloud.make_interface(subnet, SecondaryPrivateIpAddressCount=10))
    assert found == [f"10.20.1.{number}" for number in range(4, 15)]
    assert cloud.free(subnet) == 0


@pytest.mark.parametrize("address", ["10.20.1.0", "10.20.1.1", "10.20.1.2", "10.20.1.3", "10.20.1.255", "10.20.2.9"])
def test_a_reserved_address_or_one_outside_is_refused(cloud, refused, address):
    subnet = cloud.subnet()
    with refused("InvalidParameterValue"):
        cloud.make_interface(subnet, PrivateIpAddress=address)


def test_an_address_in_use_is_refused(cloud, refused):
    """Amazon EC2 API Reference, Error codes: InvalidIPAddress.InUse."""
    subnet = cloud.subnet()
    cloud.make_interface(subnet, PrivateIpAddress="10.20.1.77")
    with refused("InvalidIPAddress.InUse"):
        cloud.run(subnet, PrivateIpAddress="10.20.1.77")
    with refused("InvalidIPAddress.InUse"):
        cloud.make_interface(subnet, PrivateIpAddresses=[{"PrivateIpAddress": "10.20.1.77"}])


def test_one_address_may_be_in_two_networks(cloud, addresses):
    other = cloud.make_vpc()
    for vpc in (cloud.vpc, other):
        made = cloud.make_interface(cloud.subnet(vpc=vpc), PrivateIpAddress="10.20.1.50")
        assert addresses(made) == ["10.20.1.50"]


def test_a_full_subnet_refuses(cloud, refused):
    """Amazon EC2 API Reference, Error codes: InsufficientFreeAddressesInSubnet."""
    subnet = cloud.subnet("10.20.1.0/28")
    cloud.make_interface(subnet, SecondaryPrivateIpAddressCount=9)
    with refused("InsufficientFreeAddressesInSubnet"):
        cloud.make_interface(subnet, SecondaryPrivateIpAddressCount=1)
    with refused("InsufficientFreeAddressesInSubnet"):
        cloud.run_many(2, subnet)
    assert cloud.free(subnet) == 1


def test_secondary_addresses_by_value_and_by_count(cloud, addresses):
    subnet = cloud.subnet()
    by_value = cloud.make_interface(
        subnet,
        PrivateIpAddresses=[
            {"PrivateIpAddress": "10.20.1.20", "Primary": False},
            {"PrivateIpAddress": "10.20.1.10", "Primary": True},
        ],
    )
    assert addresses(by_value) == ["10.20.1.10", "10.20.1.20"]
    assert by_value["PrivateIpAddress"] == "10.20.1.10"
    by_count = cloud.make_interface(subnet, PrivateIpAddress="10.20.1.30", SecondaryPrivateIpAddressCount=2)
    assert addresses(by_count) == ["10.20.1.30", "10.20.1.4", "10.20.1.5"]


def test_value_and_count_at_once_are_refused(cloud, refused):
    """Amazon EC2 API Reference, CreateNetworkInterface: SecondaryPrivateIpAddressCount."""
    subnet = cloud.subnet()
    entries = [{"PrivateIpAddress": "10.20.1.10", "Primary": True}, {"PrivateIpAddress": "10.20.1.11"}]
    with refused("InvalidParameterCombination"):
        cloud.make_interface(subnet, PrivateIpAddresses=entries, SecondaryPrivateIpAddressCount=1)


def test_run_instances_takes_secondary_addresses(cloud, addresses):
    """Amazon EC2 API Reference, RunInstances: NetworkInterface.N.SecondaryPrivateIpAddressCount, PrivateIpAddresses."""
    subnet = cloud.subnet()
    counted = cloud.run(NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "SecondaryPrivateIpAddressCount": 1}])
    assert addresses(counted) == ["10.20.1.4", "10.20.1.5"]
    entries = [{"PrivateIpAddress": "10.20.1.90", "Primary": True}, {"PrivateIpAddress": "10.20.1.91"}]
    named = cloud.run(NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "PrivateIpAddresses": entries}])
    assert addresses(named) == ["10.20.1.90", "10.20.1.91"]
    assert named["PrivateIpAddress"] == "10.20.1.90"
    assert cloud.free(subnet) == 251 - 4


def test_several_instances_share_no_address(cloud, addresses):
    subnet = cloud.subnet()
    options = [{"DeviceIndex": 0, "SubnetId": subnet, "SecondaryPrivateIpAddressCount": 1}]
    found = [address for one in cloud.run_many(5, NetworkInterfaces=options) for address in addresses(one)]
    assert len(set(found)) == 10


def test_assign_and_unassign(cloud, addresses):
    """Amazon EC2 API Reference, AssignPrivateIpAddresses, UnassignPrivateIpAddresses."""
    subnet = cloud.subnet()
    interface = cloud.make_interface(subnet)["NetworkInterfaceId"]
    assign = cloud.ec2.assign_private_ip_addresses
    given = assign(NetworkInterfaceId=interface, SecondaryPrivateIpAddressCount=2)["AssignedPrivateIpAddresses"]
    assert [one["PrivateIpAddress"] for one in given] == ["10.20.1.5", "10.20.1.6"]
    assign(NetworkInterfaceId=interface, PrivateIpAddresses=["10.20.1.60"])
    cloud.ec2.unassign_private_ip_addresses(NetworkInterfaceId=interface, PrivateIpAddresses=["10.20.1.5"])
    assert addresses(cloud.interface(interface)) == ["10.20.1.4", "10.20.1.6", "10.20.1.60"]
    assert cloud.free(subnet) == 248


def test_assign_refuses_what_another_has_unless_it_may_take_it(cloud, refused, addresses):
    """Amazon EC2 API Reference, AssignPrivateIpAddresses: AllowReassignment."""
    subnet = cloud.subnet()
    one = cloud.make_interface(subnet, SecondaryPrivateIpAddressCount=1)["NetworkInterfaceId"]
    two = cloud.make_interface(subnet)["NetworkInterfaceId"]
    with refused("InvalidIPAddress.InUse"):
        cloud.ec2.assign_private_ip_addresses(NetworkInterfaceId=two, PrivateIpAddresses=["10.20.1.5"])
    cloud.ec2.assign_private_ip_addresses(
        NetworkInterfaceId=two, PrivateIpAddresses=["10.20.1.5"], AllowReassignment=True
    )
    assert addresses(cloud.interface(one)) == ["10.20.1.4"]
    assert addresses(cloud.interface(two)) == ["10.20.1.6", "10.20.1.5"]


def test_a_primary_address_cannot_be_unassigned(cloud, refused):
    interface = cloud.make_interface(cloud.subnet())
    with refused("InvalidParameterValue"):
        cloud.ec2.unassign_private_ip_addresses(
            NetworkInterfaceId=interface["NetworkInterfaceId"], PrivateIpAddresses=[interface["PrivateIpAddress"]]
        )


def test_an_instance_types_addresses_are_limited(cloud, refused):
    """Amazon EC2 User Guide, IP addresses per network interface per instance type: t3.small has four."""
    subnet = cloud.subnet()
    instance = cloud.run(subnet)
    interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    cloud.ec2.assign_private_ip_addresses(NetworkInterfaceId=interface, SecondaryPrivateIpAddressCount=3)
    with refused("PrivateIpAddressLimitExceeded"):
        cloud.ec2.assign_private_ip_addresses(NetworkInterfaceId=interface, SecondaryPrivateIpAddressCount=1)
    with refused("PrivateIpAddressLimitExceeded"):
        cloud.run(NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "SecondaryPrivateIpAddressCount": 4}])
