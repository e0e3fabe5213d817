#!/usr/bin/env bash
# Runs when the host shuts down, after the service has stopped. When the host's group wants no host any more (terraform
# destroy sets it to 0 before it removes it), what the service has made in EC2 and keeps between hosts goes: launch
# templates and the key pair. A service that comes back makes both anew. Workers are left alone: they finish their jobs,
# and end themselves after orphan_timeout.
set -euo pipefail

# shellcheck disable=SC1091
. /etc/default/runner-fleet-install

say() {
    logger --tag runner-fleet-install -- "$*"
}

ec2() {
    aws ec2 --region "$AWS_REGION" --output text "$@"
}

if [[ $(systemctl is-system-running || true) != stopping ]]; then exit 0; fi
if ! command -v aws >/dev/null; then
    say "launch templates and the key pair of $MANAGER stay: there is no aws command on this host"
    exit 0
fi
wanted=$(aws autoscaling describe-auto-scaling-groups --region "$AWS_REGION" --output text \
    --filters "Name=tag:runner-fleet:host,Values=$MANAGER" --query 'AutoScalingGroups[0].DesiredCapacity')
if [[ $wanted != 0 ]]; then exit 0; fi

say "the host's group wants no host any more: deleting the launch templates and the key pair of $MANAGER"
ours="Name=tag:runner-fleet:manager,Values=$MANAGER"
for template in $(ec2 describe-launch-templates --filters "$ours" --query 'LaunchTemplates[].LaunchTemplateId'); do
    ec2 delete-launch-template --launch-template-id "$template" >/dev/null
done
for key in $(ec2 describe-key-pairs --filters "$ours" --query 'KeyPairs[].KeyPairId'); do
    ec2 delete-key-pair --key-pair-id "$key" >/dev/null
done
