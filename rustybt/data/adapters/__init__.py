"""Adapters talk to vendors: transport, throttle, retry and error mapping."""
