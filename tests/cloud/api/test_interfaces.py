"""Network interfaces and public addresses of them (Amazon EC2 API Reference; Amazon EC2 User Guide)."""

from __future__ import annotations

import pytest


@pytest.fixture
def subnet(cloud):
    return cloud.subnet()


def attach(cloud, interface, instance, index=1):
    return cloud.ec2.attach_network_interface(
        NetworkInterfaceId=interface["NetworkInterfaceId"], InstanceId=instance["InstanceId"], DeviceIndex=index
    )["AttachmentId"]


def test_attach_and_detach(cloud, subnet):
    """AttachNetworkInterface, DetachNetworkInterface."""
    instance, interface = cloud.run(subnet), cloud.make_interface(subnet, Description="second")
    attachment = attach(cloud, interface, instance)
    shown = cloud.instance(instance["InstanceId"])["NetworkInterfaces"]
    assert [one["Attachment"]["DeviceIndex"] for one in shown] == [0, 1]
    assert shown[1]["Attachment"]["DeleteOnTermination"] is False
    assert cloud.interface(interface["NetworkInterfaceId"])["Status"] == "in-use"
    cloud.ec2.detach_network_interface(AttachmentId=attachment)
    assert len(cloud.instance(instance["InstanceId"])["NetworkInterfaces"]) == 1
    cloud.ec2.delete_network_interface(NetworkInterfaceId=interface["NetworkInterfaceId"])


def test_attaching_what_is_not_free_is_refused(cloud, subnet, refused):
    """Amazon EC2 API Reference, Error codes: InvalidNetworkInterface.InUse, AttachmentLimitExceeded."""
    instance = cloud.run(subnet, InstanceType="t3.micro")
    first, second = cloud.make_interface(subnet), cloud.make_interface(subnet)
    attach(cloud, first, instance)
    with refused("InvalidNetworkInterface.InUse"):
        attach(cloud, first, cloud.run(subnet))
    with refused("InvalidParameterValue"):
        attach(cloud, second, instance, index=1)
    with refused("AttachmentLimitExceeded"):
        attach(cloud, second, instance, index=2)


def test_an_interface_stays_in_its_zone(cloud, subnet, refused):
    """Amazon EC2 User Guide, Elastic network interfaces: one availability zone."""
    other = cloud.subnet("10.20.2.0/24", zone="b")
    with refused("InvalidParameterCombination"):
        attach(cloud, cloud.make_interface(other), cloud.run(subnet))


def test_the_first_interface_cannot_be_detached(cloud, subnet, refused):
    """DetachNetworkInterface: the primary one stays."""
    instance = cloud.run(subnet)
    with refused("OperationNotPermitted"):
        cloud.ec2.detach_network_interface(AttachmentId=instance["NetworkInterfaces"][0]["Attachment"]["AttachmentId"])
    with refused("InvalidAttachmentID.NotFound"):
        cloud.ec2.detach_network_interface(AttachmentId="eni-attach-0123456789abcdef0")


def test_an_interface_in_use_cannot_be_deleted(cloud, subnet, refused):
    """Amazon EC2 API Reference, Error codes: InvalidNetworkInterface.InUse."""
    interface = cloud.run(subnet)["NetworkInterfaces"][0]["NetworkInterfaceId"]
    with refused("InvalidNetworkInterface.InUse"):
        cloud.ec2.delete_network_interface(NetworkInterfaceId=interface)


def test_attributes_change(cloud, subnet):
    """ModifyNetworkInterfaceAttribute, DescribeNetworkInterfaceAttribute."""
    instance, group = cloud.run(subnet), cloud.group()
    interface = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    attachment = instance["NetworkInterfaces"][0]["Attachment"]["AttachmentId"]
    modify = cloud.ec2.modify_network_interface_attribute
    modify(NetworkInterfaceId=interface, SourceDestCheck={"Value": False})
    modify(NetworkInterfaceId=interface, Groups=[group])
    modify(NetworkInterfaceId=interface, Description={"Value": "mine"})
    modify(NetworkInterfaceId=interface, Attachment={"AttachmentId": attachment, "DeleteOnTermination": False})
    found = cloud.interface(interface)
    assert (found["SourceDestCheck"], found["Description"]) == (False, "mine")
    assert [one["GroupId"] for one in found["Groups"]] == [group]
    assert found["Attachment"]["DeleteOnTermination"] is False
    shown = cloud.ec2.describe_network_interface_attribute(NetworkInterfaceId=interface, Attribute="groupSet")
    assert shown["Groups"] == found["Groups"]


def test_a_launch_can_use_an_interface_that_is_there(cloud, subnet):
    """RunInstances: NetworkInterface.N.NetworkInterfaceId; such an interface outlives the instance."""
    interface = cloud.make_interface(subnet, PrivateIpAddress="10.20.1.99")["NetworkInterfaceId"]
    made = cloud.run(NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": interface}])
    assert (made["PrivateIpAddress"], made["SubnetId"]) == ("10.20.1.99", subnet)
    cloud.ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    assert cloud.interface(interface)["Status"] == "available"


# -- public addresses


def test_public_addresses_of_a_subnet_that_maps_them(cloud, subnet):
    """Amazon VPC User Guide, IP addressing attributes of a subnet: overridden at launch."""
    cloud.ec2.modify_subnet_attribute(SubnetId=subnet, MapPublicIpOnLaunch={"Value": True})
    public = cloud.run(subnet)
    assert public["PublicIpAddress"].startswith("198.18.")
    association = public["NetworkInterfaces"][0]["PrivateIpAddresses"][0]["Association"]
    assert (association["PublicIp"], association["IpOwnerId"]) == (public["PublicIpAddress"], "amazon")
    spec = {"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": False}
    assert "PublicIpAddress" not in cloud.run(NetworkInterfaces=[spec])


def test_a_public_address_goes_with_a_stop_and_an_elastic_one_stays(cloud, subnet):
    """Amazon EC2 User Guide, Instance IP addressing: released when the instance is stopped; EIPs are kept."""
    cloud.internet_gateway()
    spec = {"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": True}
    one, two = cloud.run_many(2, NetworkInterfaces=[spec])
    eip = cloud.ec2.allocate_address(Domain="vpc")
    cloud.ec2.associate_address(AllocationId=eip["AllocationId"], InstanceId=two["InstanceId"])
    ids = [one["InstanceId"], two["InstanceId"]]
    cloud.ec2.stop_instances(InstanceIds=ids)
    assert "PublicIpAddress" not in cloud.instance(ids[0])
    assert cloud.instance(ids[1])["PublicIpAddress"] == eip["PublicIp"]
    cloud.ec2.start_instances(InstanceIds=ids)
    assert cloud.instance(ids[0])["PublicIpAddress"].startswith("198.18.")
    assert cloud.instance(ids[1])["PublicIpAddress"] == eip["PublicIp"]


def test_elastic_addresses(cloud, subnet, refused):
    """AllocateAddress, AssociateAddress, DisassociateAddress, ReleaseAddress."""
    cloud.internet_gateway()
    instance = cloud.run(subnet)
    eip = cloud.ec2.allocate_address(Domain="vpc")
    association = cloud.ec2.associate_address(AllocationId=eip["AllocationId"], InstanceId=instance["InstanceId"])
    found = cloud.ec2.describe_addresses(AllocationIds=[eip["AllocationId"]])["Addresses"][0]
    assert found["InstanceId"] == instance["InstanceId"]
    assert found["PrivateIpAddress"] == instance["PrivateIpAddress"]
    assert found["AssociationId"] == association["AssociationId"]
    with refused("InvalidIPAddress.InUse"):
        cloud.ec2.release_address(AllocationId=eip["AllocationId"])
    with refused("Resource.AlreadyAssociated"):
        cloud.ec2.associate_address(
            AllocationId=eip["AllocationId"], InstanceId=cloud.run(subnet)["InstanceId"], AllowReassociation=False
        )
    cloud.ec2.disassociate_address(AssociationId=association["AssociationId"])
    assert "PublicIpAddress" not in cloud.instance(instance["InstanceId"])
    with refused("InvalidAssociationID.NotFound"):
        cloud.ec2.disassociate_address(AssociationId=association["AssociationId"])
    cloud.ec2.release_address(AllocationId=eip["AllocationId"])
    with refused("InvalidAllocationID.NotFound"):
        cloud.ec2.describe_addresses(AllocationIds=[eip["AllocationId"]])


def test_a_secondary_address_has_an_elastic_one_of_its_own(cloud, subnet, refused):
    """AssociateAddress: PrivateIpAddress."""
    cloud.internet_gateway()
    interface = cloud.make_interface(subnet, SecondaryPrivateIpAddressCount=1)["NetworkInterfaceId"]
    for private in ("10.20.1.4", "10.20.1.5"):
        eip = cloud.ec2.allocate_address(Domain="vpc")["AllocationId"]
        cloud.ec2.associate_address(AllocationId=eip, NetworkInterfaceId=interface, PrivateIpAddress=private)
    filters = [{"Name": "network-interface-id", "Values": [interface]}]
    found = cloud.ec2.describe_addresses(Filters=filters)["Addresses"]
    assert [one["PrivateIpAddress"] for one in found] == ["10.20.1.4", "10.20.1.5"]
    public = [one["Association"]["PublicIp"] for one in cloud.interface(interface)["PrivateIpAddresses"]]
    assert len(set(public)) == 2
    with refused("InvalidParameterValue"):
        cloud.ec2.associate_address(AllocationId=eip, NetworkInterfaceId=interface, PrivateIpAddress="10.20.1.200")


def test_a_network_without_internet_gateway_takes_no_elastic_address(cloud, subnet, refused):
    """Amazon EC2 API Reference, Error codes: Gateway.NotAttached."""
    eip = cloud.ec2.allocate_address(Domain="vpc")["AllocationId"]
    with refused("Gateway.NotAttached"):
        cloud.ec2.associate_address(AllocationId=eip, InstanceId=cloud.run(subnet)["InstanceId"])


def test_an_elastic_address_outlives_the_instance(cloud, subnet):
    cloud.internet_gateway()
    instance, eip = cloud.run(subnet)["InstanceId"], cloud.ec2.allocate_address(Domain="vpc")["AllocationId"]
    cloud.ec2.associate_address(AllocationId=eip, InstanceId=instance)
    cloud.ec2.terminate_instances(InstanceIds=[instance])
    found = cloud.ec2.describe_addresses(AllocationIds=[eip])["Addresses"][0]
    assert not found.get("AssociationId")
    assert not found.get("InstanceId")
