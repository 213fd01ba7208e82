"""Reads what SBD says of itself on this node to everybody: its configuration and its pid.

It never opens a device and never runs sbd: `sbd dump` needs write access to the device, and who may
write to it may fence every node.
"""
