"""Documents: what people upload becomes sections, each with its heading and its place.

Bytes in, values out. Nothing here has a network, a model or an environment.
"""
