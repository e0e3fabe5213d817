# The SSH host key of this worker alone.

# host_key: takes it on stdin and lets sshd show it, instead of the launch template's, which others can read. Repeating it is
# harmless: whoever was cut short begins again. What fails leaves the key that was there.
host_key() {
    bundle_field runner-fleet-host-key
    [ "$b_value" = 1 ] || die 7 "the host key's bundle has version $b_value, this agent reads 1; nothing was changed"
    bundle_system_id
    bundle_field public
    public=$b_value
    bundle_length private-bytes
    # Beside the old one, so that it takes its place in one step, and room for it is found before anything is changed.
    new=$HOST_KEY.$$
    trap 'rm -f "$new" "$HOST_KEY.old"' EXIT
    { cat >"$new"; } 2>/dev/null || die 1 "cannot write $new; the host key stays"
    [ "$(wc -c <"$new" | tr -d ' ')" = "$b_value" ] || die 7 "the bundle was cut; nothing was changed"
    lock
    if ! cmp -s "$new" "$HOST_KEY"; then
        if [ -e "$HOST_KEY" ]; then
            ln -f "$HOST_KEY" "$HOST_KEY.old" || die 1 "cannot write $HOST_KEY.old; the host key stays"
        fi
        mv -f "$new" "$HOST_KEY" || die 1 "cannot replace $HOST_KEY"
    fi
    if ! reload_sshd; then
        if [ -e "$HOST_KEY.old" ]; then mv -f "$HOST_KEY.old" "$HOST_KEY"; fi
        die 1 "sshd cannot be reloaded; the host key stays"
    fi
    # For people; sshd does not need it.
    printf '%s\n' "$public" | put "$HOST_KEY.pub" && chmod 644 "$HOST_KEY.pub"
    unlock
    say "this worker has a host key of its own"
}

# Connections go on. Where no such unit is active, an sshd is started for each connection, and reads what is there.
reload_sshd() {
    for unit in ssh.service sshd.service; do
        if systemctl is-active --quiet "$unit"; then
            systemctl reload "$unit"
            return
        fi
    done
}
