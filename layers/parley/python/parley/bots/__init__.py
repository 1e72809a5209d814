"""The compiled bot: what a folder of YAML and documents becomes, and how it is packed and read."""
