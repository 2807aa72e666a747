"""What answers at the link-local addresses of every instance: metadata, resolver, time. client.py starts it."""
