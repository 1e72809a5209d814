"""What the bot does next. Pure: nothing here opens a socket, reads a clock or throws dice."""
