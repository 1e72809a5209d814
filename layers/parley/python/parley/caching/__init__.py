"""The reply cache: which replies may be shared, under which key, and how they are recalled."""
