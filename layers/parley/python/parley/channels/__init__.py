"""Channels: pure conversions between a channel's format and our values. No sockets, no environment."""
