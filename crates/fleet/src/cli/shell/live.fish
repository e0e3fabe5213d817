
# Names that live: instance ids, which the service knows, and the runners of the configuration.
complete -c runner-fleet -n "__fish_seen_subcommand_from drain undrain ssh" -f -a "(runner-fleet names workers 2>/dev/null)"
complete -c runner-fleet -n "__fish_seen_subcommand_from pause resume retry render" -f -a "(runner-fleet names runners 2>/dev/null)"
complete -c runner-fleet -n "__fish_seen_subcommand_from status drain doctor" -l runner -x -a "(runner-fleet names runners 2>/dev/null)"
