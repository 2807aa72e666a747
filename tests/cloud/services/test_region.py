"""The API of the cloud from its own machines: of it they have the certificate of its authority, and nothing else."""

from __future__ import annotations


def test_a_machine_with_a_way_out_speaks_to_ec2_by_its_name(region, public):
    found = region.python(
        public,
        "found = boto3.client('ec2').describe_instances()['Reservations']\n"
        "show([one['InstanceId'] for group in found for one in group['Instances']])",
    )
    assert public in found
