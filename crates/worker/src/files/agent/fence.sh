# Which configuration the runner reads, and its end.

# show FILE: the runner reads FILE from now on. All of it lies in memory, so that no disk hinders a fence. The runner looks
# for a newer time.
show() {
    touch "$1"
    if cmp -s "$1" "$SHOWN"; then return 0; fi
    ln -f "$1" "$SHOWN.$$" || die 1 "cannot link $1"
    mv -f "$SHOWN.$$" "$SHOWN" || die 1 "cannot replace $SHOWN"
}

fenced_for() { [ -r "$RUN/draining" ] && read -r f_reason _ <"$RUN/draining" && [ "$f_reason" = "$1" ]; }

# fence REASON (manager, orphan, interruption, unfit, clean): a later, graver reason replaces an earlier one.
fence() {
    lock
    if [ -e "$RUN/draining" ]; then
        read -r f_reason f_rest <"$RUN/draining"
        if [ "$1" != orphan ] && [ "$1" != clean ] && [ "$f_reason" != interruption ]; then echo "$1 $f_rest" | put "$RUN/draining"; fi
        unlock
        return 0
    fi
    uptime_now
    if $single; then
        echo "$1 0 $now" | put "$RUN/draining"
        # It finishes its job, or an open request and the job that comes of it, and exits.
        if runner_alive; then kill -s QUIT "$pid"; fi
    else
        # Where none has been pushed yet, there is no runner either.
        if [ -e "$FENCED" ]; then show "$FENCED"; fi
        # Read after the file was replaced: whatever is loaded from now on is the empty file.
        read -r a_ok _ _ _ _ a_loaded _ <<EOT
$(ask)
EOT
        if [ "${a_ok:-0}" != 1 ]; then
            a_loaded=0
            if runner_alive; then a_loaded=-; fi
        fi
        echo "$1 $a_loaded $now" | put "$RUN/draining"
        if [ "${a_ok:-0}" = 1 ]; then reload_runner; fi
    fi
    unlock
}

# unfence [REASON]: by the manager, or by whom the fence is.
unfence() {
    lock
    if fenced_for clean && [ "${1:-}" != clean ]; then die 4 "this worker is being cleaned"; fi
    if [ -e "$RUN/stopping" ] || [ -e "$RUN/interruption" ] || [ -e "$RUN/unfit" ]; then die 6 "this worker is ending"; fi
    if [ -e "$RUN/draining" ]; then
        if $single; then die 6 "a single-use worker cannot be unfenced"; fi
        if [ -e "$SERVING" ]; then show "$SERVING"; fi
        rm -f "$RUN/draining" "$RUN/fenced" "$RUN/empty-since"
        reload_runner
    fi
    unlock
}
