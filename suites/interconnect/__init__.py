"""VPN, peering and routes between networks. No row has entered yet."""
