"""NetworkPolicies, resolved for one pod into addresses and ports; its agent makes packet-filter rules of them."""
