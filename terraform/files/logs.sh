#!/usr/bin/env bash
# Ships the manager's journal to CloudWatch: Amazon's agent reads files, so that runner-fleet-journal.service writes one.
# Started by install.sh, as runner-fleet-logs.service. Nothing waits for it.
set -euo pipefail

agent=/opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl
config=/etc/default/runner-fleet-logs.json

say() {
    logger --tag runner-fleet-install -- "$*"
}

pause=10
until [[ -x $agent ]] || why=$(dnf --quiet --assumeyes install amazon-cloudwatch-agent 2>&1); do
    say "cannot install the CloudWatch agent: $(tail -n 1 <<<"$why"); trying again in $pause s"
    sleep "$pause"
    pause=$((pause * 2 > 600 ? 600 : pause * 2))
done

systemctl enable --quiet --now runner-fleet-journal.service
"$agent" -a fetch-config -m ec2 -s -c "file:$config" >/dev/null
say "the CloudWatch agent ships the log"
