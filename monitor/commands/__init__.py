"""What each subcommand of `eelswatch` does; a module is imported only when its command is called."""
