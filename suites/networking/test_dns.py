"""The cluster's DNS, as pods use it: through the resolver settings that they were given."""

from __future__ import annotations

import pytest
from kip_conformance.infra.judge.answered import as_wanted
from kip_conformance.infra.judge.expectations import every_pair
from kip_conformance.infra.judge.waits import eventually
from kip_conformance.infra.probe.names import Lookup, service_names
from kip_conformance.infra.workloads.pods import PodPlan
from kip_conformance.infra.workloads.services import PortPlan
from kip_conformance.infra.workloads.slices import endpoint_slice, many_addresses

_LOOKUPS = 1000
_SLOWEST = 1.0  # seconds: resolver libraries repeat a lost question after five


@pytest.mark.requirement("DNS-01")
def test_services_are_found_by_full_and_partial_names(service, names, pods):
    """Every pod finds a Service by its full and partial names: its address (A) and its ports (SRV)."""
    web = service(pods, "tcp")
    forms = service_names(web.name, web.namespace, names.domain)
    full = forms[web.name]
    wanted = [
        *(Lookup(form, frozenset({web.cluster_ip}), answered_as=full) for form in forms),
        *(
            Lookup(f"_tcp-80._tcp.{form}", frozenset({f"80 {full}"}), "SRV")
            for form in (full, f"{web.name}.{web.namespace}.svc")
        ),
        *(
            Lookup(form, rcode="NOERROR")
            for form in service_names("kubernetes", "default", names.domain, is_same_namespace=False)
        ),
    ]
    names.wait_known(pods, [full])
    expected = every_pair(pods, wanted, as_wanted)
    eventually(lambda: names.look_up(pods, wanted), expected, within=web.budget)


@pytest.mark.requirement("DNS-02")
def test_headless_services_and_their_members_are_found_by_name(
    services, names, own_pods, namespace, pods, pod_machines, budgets
):
    """A headless Service's name gives its pods' addresses, and a member's hostname in its subdomain gives its own."""
    label = {"kip-conformance/crew": namespace}
    plans = [
        PodPlan(f"{namespace}-{n}", machine, labels=label, spec={"hostname": f"member-{n}", "subdomain": "crew"})
        for n, machine in enumerate(pod_machines)
    ]
    members = own_pods.start(*plans)
    services.make(
        members, PortPlan(8080, 8080), selector=label, namespace=namespace, name="crew", spec={"clusterIP": "None"}
    )
    crew = f"crew.{namespace}.svc.{names.domain}."
    own = {f"member-{n}.{crew}": place.address for n, place in enumerate(members)}
    wanted = [
        *(Lookup(form, frozenset(own.values())) for form in (crew, f"crew.{namespace}", f"crew.{namespace}.svc")),
        *(Lookup(name, frozenset({address})) for name, address in own.items()),
        Lookup(f"member-0.crew.{namespace}", frozenset({members[0].address}), answered_as=f"member-0.{crew}"),
        Lookup(f"_tcp-8080._tcp.{crew}", frozenset(f"8080 {name}" for name in own), "SRV"),
    ]
    names.wait_known(pods, [crew, *own])
    expected = every_pair(pods, wanted, as_wanted)
    eventually(lambda: names.look_up(pods, wanted), expected, within=budgets.propagation)


@pytest.mark.requirement("DNS-05")
@pytest.mark.parametrize("way", ["host-network"])
def test_a_host_network_pod_may_use_cluster_dns(names, own_pods, namespace, pod_machines, way):
    """A hostNetwork pod with dnsPolicy ClusterFirstWithHostNet finds Services by partial names."""
    policy = {"dnsPolicy": "ClusterFirstWithHostNet"}
    plans = [PodPlan(f"{namespace}-{machine}", machine, is_host_network=True, spec=policy) for machine in pod_machines]
    clients = own_pods.start(*plans)
    full = f"kubernetes.default.svc.{names.domain}."
    wanted = [Lookup("kubernetes.default", answered_as=full), Lookup("kubernetes.default.svc", answered_as=full)]
    assert names.look_up(clients, wanted) == every_pair(clients, wanted, as_wanted)


@pytest.mark.requirement("DNS-05")
@pytest.mark.parametrize("way", ["over-tcp"])
def test_names_resolve_over_tcp(names, pods, way):
    """Cluster DNS answers over TCP as it does over UDP."""
    wanted = [Lookup(f"kubernetes.default.svc.{names.domain}.", is_tcp=True), Lookup("kubernetes.default", is_tcp=True)]
    assert names.look_up(pods, wanted) == every_pair(pods, wanted, as_wanted)


@pytest.mark.requirement("DNS-05")
@pytest.mark.parametrize("way", ["large-answer"])
def test_an_answer_above_512_bytes_arrives_whole(services, objects, names, namespace, pods, budgets, way):
    """An answer too large for plain UDP is marked as cut off and whole over TCP; with EDNS it is whole at once."""
    services.make((), PortPlan(80, 80), selector={}, namespace=namespace, name="crowd", spec={"clusterIP": "None"})
    addresses = many_addresses(60)
    objects.create(endpoint_slice("crowd", namespace, addresses, 80))
    crowd, whole = f"crowd.{namespace}.svc.{names.domain}.", frozenset(addresses)
    wanted = [Lookup(crowd, whole, is_truncated=True), Lookup(crowd, whole, edns=1232, is_truncated=False)]
    names.wait_known(pods, [crowd])
    expected = every_pair(pods, wanted, as_wanted)
    eventually(lambda: names.look_up(pods, wanted), expected, within=budgets.propagation)


@pytest.mark.requirement("DNS-06")
@pytest.mark.parametrize("case", ["absent-name"])
def test_an_absent_name_is_denied_at_once(names, pods, rng, case):
    """A name that does not exist in the cluster's domain answers NXDOMAIN at once, and one that does is found."""
    absent = f"absent-{rng.getrandbits(32):08x}"
    nowhere = (f"{absent}.default.svc.{names.domain}.", f"kubernetes.{absent}.svc.{names.domain}.")
    wanted = [
        *(Lookup(name, frozenset(), rcode="NXDOMAIN") for name in nowhere),
        Lookup(f"kubernetes.default.svc.{names.domain}."),
    ]
    assert names.look_up(pods, wanted) == every_pair(pods, wanted, as_wanted)


@pytest.mark.requirement("DNS-06")
@pytest.mark.needs("capture")
@pytest.mark.parametrize("case", ["search-order"])
def test_the_search_path_is_tried_in_order(questions_asked, names, pods, rng, case):
    """A pod's resolver tries a partial name in its namespace, in svc, in the cluster's domain, then as it is."""
    absent = f"absent-{rng.getrandbits(32):08x}.kip"
    namespace = pods[0].pod.namespace
    order = (f"{namespace}.svc.{names.domain}", f"svc.{names.domain}", names.domain)
    expected = [f"{absent}.{domain}." for domain in order]
    asked = questions_asked(pods[0], absent)
    assert list(asked[:3]) == expected, f"{pods[0].name} asked for {', '.join(asked) or 'nothing'}"
    assert asked[-1] == f"{absent}.", f"{pods[0].name} did not ask for {absent} itself: {', '.join(asked)}"


@pytest.mark.requirement("DNS-07")
def test_a_thousand_paired_lookups_lose_nothing(names, pods):
    """Of 1,000 lookups that ask for A and AAAA at once from one socket, none is lost and none is slower than 1 s."""
    kubernetes = f"kubernetes.default.svc.{names.domain}."
    seen = names.look_up_in_pairs(pods, kubernetes, count=_LOOKUPS // len(pods), timeout=_SLOWEST)
    bad = [f"{place}: {each}" for place, each in seen.items() if each.lost or each.wrong or each.slowest > _SLOWEST]
    assert not bad, "; ".join(bad)
