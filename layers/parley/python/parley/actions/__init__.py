"""A bot's custom actions as its author declared them. Pure: nothing here opens a connection or knows a secret."""

from parley.actions.custom_actions import MAX_TIMEOUT_SECONDS, ActionServer, CustomActions, HttpCall, LambdaCall

__all__ = ["MAX_TIMEOUT_SECONDS", "ActionServer", "CustomActions", "HttpCall", "LambdaCall"]
