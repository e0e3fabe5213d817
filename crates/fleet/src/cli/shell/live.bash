
# Names that live: instance ids, which the service knows, and the runners of the configuration.
_runner_fleet_live() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command= kind= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            drain | undrain | ssh | pause | resume | retry | render | status | doctor) command=${COMP_WORDS[i]}; break ;;
        esac
    done
    case $command:$before:$word in
        *:*:-*) ;;
        :*) ;;
        *:--runner:*) kind=runners ;;
        *:--config:* | *:--log-format:* | *:--job:*) ;;
        drain:* | undrain:* | ssh:*) kind=workers ;;
        pause:* | resume:* | retry:* | render:*) kind=runners ;;
    esac
    if [[ -n $kind ]]; then
        COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" names "$kind" 2>/dev/null)" -- "$word"))
    else
        _runner__fleet "$@"
    fi
}
complete -F _runner_fleet_live -o bashdefault -o default runner-fleet
