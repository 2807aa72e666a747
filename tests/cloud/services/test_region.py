"""The API of the cloud from its own machines, with nothing of it in their environment but the authority's certificate."""

from __future__ import annotations


def test_a_machine_with_a_way_out_speaks_to_ec2_by_its_name(region, public):
    found = region.python(
        public,
        "found = boto3.client('ec2').describe_instances()['Reservations']\n"
        "show([one['InstanceId'] for group in found for one in group['Instances']])",
    )
    assert public in found
