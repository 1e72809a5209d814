"""Around the generator: what it is asked, how its stream is read, what of it may leave."""
