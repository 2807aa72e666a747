"""RunInstances ("Amazon EC2 API Reference, RunInstances") and the lifecycle of instances."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest


def test_pending_then_running(cloud):
    """Amazon EC2 User Guide, Instance lifecycle."""
    made = cloud.run(cloud.subnet())
    assert made["State"] == {"Code": 0, "Name": "pending"}
    assert cloud.instance(made["InstanceId"])["State"] == {"Code": 16, "Name": "running"}


def test_an_instance_says_where_it_is(cloud):
    subnet, group = cloud.subnet(zone="b"), cloud.group()
    made = cloud.run(subnet, SecurityGroupIds=[group])
    assert made["Placement"]["AvailabilityZone"] == "eu-central-1b"
    assert (made["VpcId"], made["SubnetId"]) == (cloud.vpc, subnet)
    assert made["PrivateDnsName"] == f"ip-{made['PrivateIpAddress'].replace('.', '-')}.eu-central-1.compute.internal"
    assert made["SecurityGroups"] == [{"GroupId": group, "GroupName": "web"}]
    assert made["NetworkInterfaces"][0]["Attachment"]["DeviceIndex"] == 0
    assert made["NetworkInterfaces"][0]["Groups"] == made["SecurityGroups"]


def test_the_largest_possible_number_is_launched(cloud, refused):
    """RunInstances: the largest number above MinCount that capacity allows, at most MaxCount."""
    subnet = cloud.subnet("10.20.1.0/28")
    assert len(cloud.run_many(1, subnet, MinCount=2, MaxCount=20)) == 11
    with refused("InsufficientFreeAddressesInSubnet"):
        cloud.run(subnet)


def test_terminated_instances_leave_nothing(cloud):
    """Amazon EC2 User Guide, Terminate your instance: interfaces with DeleteOnTermination go."""
    subnet = cloud.subnet()
    made = cloud.run(NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "SecondaryPrivateIpAddressCount": 1}])
    changed = cloud.ec2.terminate_instances(InstanceIds=[made["InstanceId"]])["TerminatingInstances"][0]
    assert (changed["PreviousState"]["Name"], changed["CurrentState"]["Name"]) == ("running", "shutting-down")
    gone = cloud.instance(made["InstanceId"])
    assert gone["State"] == {"Code": 48, "Name": "terminated"}
    assert gone["StateReason"]["Code"] == "Client.UserInitiatedShutdown"
    assert gone["StateTransitionReason"].startswith("User initiated (")
    assert gone["NetworkInterfaces"] == []
    assert {"VpcId", "SubnetId", "PrivateIpAddress"}.isdisjoint(gone)
    assert cloud.free(subnet) == 251
    assert (
        cloud.ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [made["InstanceId"]]}])[
            "Volumes"
        ]
        == []
    )


def test_an_interface_that_is_to_stay_stays(cloud):
    """RunInstances: NetworkInterface.N.DeleteOnTermination."""
    subnet = cloud.subnet()
    made = cloud.run(NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": subnet, "DeleteOnTermination": False}])
    interface = made["NetworkInterfaces"][0]["NetworkInterfaceId"]
    cloud.ec2.terminate_instances(InstanceIds=[made["InstanceId"]])
    left = cloud.interface(interface)
    assert left["Status"] == "available"
    assert "Attachment" not in left
    assert cloud.free(subnet) == 250


def test_stop_and_start(cloud, refused):
    """Amazon EC2 User Guide, Stop and start: private addresses stay."""
    made = cloud.run(cloud.subnet())
    ids = [made["InstanceId"]]
    assert cloud.ec2.stop_instances(InstanceIds=ids)["StoppingInstances"][0]["CurrentState"]["Name"] == "stopping"
    stopped = cloud.instance(ids[0])
    assert stopped["State"] == {"Code": 80, "Name": "stopped"}
    assert stopped["PrivateIpAddress"] == made["PrivateIpAddress"]
    with refused("IncorrectInstanceState"):
        cloud.ec2.reboot_instances(InstanceIds=ids)
    assert cloud.ec2.start_instances(InstanceIds=ids)["StartingInstances"][0]["CurrentState"]["Name"] == "pending"
    started = cloud.instance(ids[0])
    assert started["State"]["Name"] == "running"
    assert "StateReason" not in started
    cloud.ec2.reboot_instances(InstanceIds=ids)


def test_a_terminated_instance_stays_terminated(cloud, refused):
    ids = [cloud.run(cloud.subnet())["InstanceId"]]
    cloud.ec2.terminate_instances(InstanceIds=ids)
    again = cloud.ec2.terminate_instances(InstanceIds=ids)["TerminatingInstances"][0]
    assert again["CurrentState"]["Name"] == "terminated"
    for change in (cloud.ec2.start_instances, cloud.ec2.stop_instances):
        with refused("IncorrectInstanceState"):
            change(InstanceIds=ids)


def test_termination_protection_holds_for_the_whole_call(cloud, refused):
    """TerminateInstances: if one of them may not be terminated, none of them is."""
    subnet = cloud.subnet()
    free, kept = (one["InstanceId"] for one in cloud.run_many(2, subnet))
    cloud.ec2.modify_instance_attribute(InstanceId=kept, DisableApiTermination={"Value": True})
    with refused("OperationNotPermitted"):
        cloud.ec2.terminate_instances(InstanceIds=[free, kept])
    assert cloud.instance(free)["State"]["Name"] == "running"


def test_the_same_token_is_the_same_instance(cloud, refused):
    """Amazon EC2 Developer Guide, Ensuring idempotency."""
    subnet = cloud.subnet()
    first, again = (cloud.run(subnet, ClientToken=f"token-of-{subnet}") for _ in range(2))
    assert first["InstanceId"] == again["InstanceId"]
    with refused("IdempotentParameterMismatch"):
        cloud.run(subnet, ClientToken=f"token-of-{subnet}", InstanceType="t3.large")
    assert cloud.free(subnet) == 250


def test_a_dry_run_checks_and_does_nothing(cloud, refused):
    """Amazon EC2 API Reference, RunInstances: DryRun."""
    subnet = cloud.subnet()
    with refused("DryRunOperation"):
        cloud.run(subnet, DryRun=True)
    with refused("InvalidAMIID.NotFound"):
        cloud.run(subnet, DryRun=True, ImageId="ami-00000000000000001")
    with refused("DryRunOperation"):
        cloud.ec2.describe_instances(DryRun=True)
    assert cloud.free(subnet) == 251


def test_user_data_comes_back_as_it_was(cloud):
    made = cloud.run(cloud.subnet(), UserData="#!/bin/sh\necho hello\n")
    found = cloud.ec2.describe_instance_attribute(InstanceId=made["InstanceId"], Attribute="userData")
    assert base64.b64decode(found["UserData"]["Value"]) == b"#!/bin/sh\necho hello\n"


def test_user_data_has_16_kib_at_most(cloud, refused):
    """Amazon EC2 User Guide, User data: 16 KB in raw form, before it is base64-encoded."""
    subnet = cloud.subnet()
    cloud.run(subnet, UserData="x" * 16384)
    with refused("InvalidParameterValue"):
        cloud.run(subnet, UserData="x" * 16385)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"ImageId": "ami-0123456789abcdef0"}, "InvalidAMIID.NotFound"),
        ({"ImageId": "ami-xyz"}, "InvalidAMIID.Malformed"),
        ({"InstanceType": "t3.gigantic"}, "InvalidParameterValue"),
        ({"KeyName": "nobody"}, "InvalidKeyPair.NotFound"),
        ({"SecurityGroupIds": ["sg-0123456789abcdef0"]}, "InvalidGroup.NotFound"),
        ({"SubnetId": "subnet-0123456789abcdef0"}, "InvalidSubnetID.NotFound"),
        ({"MinCount": 3, "MaxCount": 2}, "InvalidParameterValue"),
        ({"MinCount": 2, "MaxCount": 2, "PrivateIpAddress": "10.20.1.9"}, "InvalidParameterCombination"),
        ({"NetworkInterfaces": [{"DeviceIndex": 0}]}, "InvalidParameterCombination"),
        ({"IamInstanceProfile": {"Name": "nobody"}}, "InvalidParameterValue"),
        ({"Placement": {"AvailabilityZone": "eu-central-1c"}}, "InvalidParameterValue"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
def test_what_cannot_be_launched_is_refused(cloud, refused, options, code):
    """Amazon EC2 API Reference, Error codes."""
    subnet = cloud.subnet()
    with refused(code):
        cloud.run(**{"subnet": subnet, **options} if "SubnetId" not in options else options)
    assert cloud.free(subnet) == 251


def test_a_group_of_another_network_is_refused(cloud, refused):
    """Amazon EC2 API Reference, Error codes: InvalidParameter, groups and subnet of one VPC."""
    foreign = cloud.group(vpc=cloud.make_vpc())
    with refused("InvalidParameter"):
        cloud.run(cloud.subnet(), SecurityGroupIds=[foreign])


def test_several_interfaces_at_launch(cloud, refused):
    """RunInstances: NetworkInterface.N; a public address is for a lone interface only."""
    one, two = cloud.subnet("10.20.1.0/24"), cloud.subnet("10.20.2.0/24")
    specs = [{"DeviceIndex": 0, "SubnetId": one}, {"DeviceIndex": 1, "SubnetId": two}]
    made = cloud.run(NetworkInterfaces=specs)
    assert [(eni["Attachment"]["DeviceIndex"], eni["SubnetId"]) for eni in made["NetworkInterfaces"]] == [
        (0, one),
        (1, two),
    ]
    with refused("InvalidParameterCombination"):
        cloud.run(NetworkInterfaces=[{**specs[0], "AssociatePublicIpAddress": True}, specs[1]])
    with refused("InvalidParameterValue"):
        cloud.run(NetworkInterfaces=[specs[0], {**specs[1], "DeviceIndex": 0}])
    with refused("AttachmentLimitExceeded"):
        cloud.run(NetworkInterfaces=[{"DeviceIndex": index, "SubnetId": one} for index in range(4)])


def test_a_launch_template(cloud, refused):
    """RunInstances: LaunchTemplate; what the call says itself overrides it."""
    data = {"ImageId": "ami-0d00000000000debd", "InstanceType": "t3.large", "UserData": "IyEvYmluL3NoCg=="}
    name = f"template-of-{cloud.vpc}"
    cloud.ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    options = {"LaunchTemplate": {"LaunchTemplateName": name}, "MinCount": 1, "MaxCount": 1, "SubnetId": cloud.subnet()}
    one = cloud.ec2.run_instances(**options)["Instances"][0]
    two = cloud.ec2.run_instances(**options, InstanceType="t3.small")["Instances"][0]
    assert (one["InstanceType"], two["InstanceType"]) == ("t3.large", "t3.small")
    found = cloud.ec2.describe_instance_attribute(InstanceId=one["InstanceId"], Attribute="userData")
    assert found["UserData"]["Value"] == data["UserData"]
    with refused("InvalidLaunchTemplateId.NotFound"):
        cloud.ec2.run_instances(**{**options, "LaunchTemplate": {"LaunchTemplateId": "lt-0123456789abcdef0"}})


def test_several_clients_at_once_share_nothing(cloud, addresses):
    subnet = cloud.subnet()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: cloud.run(subnet), range(24)))
    assert len({address for one in made for address in addresses(one)}) == 24


def test_tags_of_a_launch(cloud):
    """RunInstances: TagSpecification.N, for instances and for network interfaces."""
    made = cloud.run(
        cloud.subnet(),
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "cell"}]},
            {"ResourceType": "network-interface", "Tags": [{"Key": "Of", "Value": "cell"}]},
        ],
    )
    assert made["Tags"] == [{"Key": "Name", "Value": "cell"}]
    assert cloud.interface(made["NetworkInterfaces"][0]["NetworkInterfaceId"])["TagSet"] == [
        {"Key": "Of", "Value": "cell"}
    ]


def test_what_changes_only_while_stopped(cloud, refused):
    """ModifyInstanceAttribute: type and user data of a stopped instance."""
    instance = cloud.run(cloud.subnet())["InstanceId"]
    modify = cloud.ec2.modify_instance_attribute
    with refused("IncorrectInstanceState"):
        modify(InstanceId=instance, InstanceType={"Value": "t3.large"})
    cloud.ec2.stop_instances(InstanceIds=[instance])
    modify(InstanceId=instance, InstanceType={"Value": "t3.large"})
    assert cloud.instance(instance)["InstanceType"] == "t3.large"
    modify(InstanceId=instance, UserData={"Value": b"#!/bin/sh\necho again\n"})
    found = cloud.ec2.describe_instance_attribute(InstanceId=instance, Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(found) == b"#!/bin/sh\necho again\n"


def test_source_dest_check_is_the_interfaces(cloud):
    """ModifyInstanceAttribute: SourceDestCheck."""
    made = cloud.run(cloud.subnet())
    assert made["SourceDestCheck"] is True
    cloud.ec2.modify_instance_attribute(InstanceId=made["InstanceId"], SourceDestCheck={"Value": False})
    found = cloud.instance(made["InstanceId"])
    assert found["SourceDestCheck"] is False
    assert found["NetworkInterfaces"][0]["SourceDestCheck"] is False


def test_groups_of_a_running_instance_change(cloud):
    """ModifyInstanceAttribute: GroupId.N."""
    instance, group = cloud.run(cloud.subnet())["InstanceId"], cloud.group("other")
    cloud.ec2.modify_instance_attribute(InstanceId=instance, Groups=[group])
    assert [one["GroupId"] for one in cloud.instance(instance)["SecurityGroups"]] == [group]


def test_metadata_options_keep_what_a_change_does_not_name(cloud):
    """ModifyInstanceMetadataOptions."""
    options = {"HttpTokens": "required", "HttpPutResponseHopLimit": 2}
    instance = cloud.run(cloud.subnet(), MetadataOptions=options)["InstanceId"]
    cloud.ec2.modify_instance_metadata_options(InstanceId=instance, HttpEndpoint="disabled")
    found = cloud.instance(instance)["MetadataOptions"]
    assert (found["HttpTokens"], found["HttpPutResponseHopLimit"], found["HttpEndpoint"]) == ("required", 2, "disabled")


def test_an_instance_profile_is_described(server, cloud):
    """RunInstances: IamInstanceProfile; DescribeIamInstanceProfileAssociations."""
    iam = server.client("iam")
    name = f"profile-{cloud.vpc}"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    arn = iam.create_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    made = cloud.run(cloud.subnet(), IamInstanceProfile={"Name": name})
    assert cloud.instance(made["InstanceId"])["IamInstanceProfile"]["Arn"] == arn
    found = cloud.ec2.describe_iam_instance_profile_associations(
        Filters=[{"Name": "instance-id", "Values": [made["InstanceId"]]}]
    )
    assert [one["IamInstanceProfile"]["Arn"] for one in found["IamInstanceProfileAssociations"]] == [arn]


def test_status_checks(cloud):
    """DescribeInstanceStatus: running instances only, unless all are asked for."""
    one, two = (made["InstanceId"] for made in cloud.run_many(2, cloud.subnet()))
    cloud.ec2.stop_instances(InstanceIds=[two])
    shown = cloud.ec2.describe_instance_status(InstanceIds=[one, two])["InstanceStatuses"]
    assert [(entry["InstanceId"], entry["SystemStatus"]["Status"]) for entry in shown] == [(one, "ok")]
    everything = cloud.ec2.describe_instance_status(InstanceIds=[one, two], IncludeAllInstances=True)
    assert len(everything["InstanceStatuses"]) == 2
