#!/usr/bin/env bash
# Asks the service whether it is ready, and tells CloudWatch: 1 or 0. runner-fleet-ready.timer runs this each minute.
set -euo pipefail

# shellcheck disable=SC1091
. /etc/default/runner-fleet-install

ready=0
if curl --fail --silent --max-time 5 --noproxy '*' --output /dev/null "$READY_URL"; then ready=1; fi
aws cloudwatch put-metric-data --region "$AWS_REGION" --namespace runner-fleet --metric-name Ready \
    --dimensions "Manager=$MANAGER" --value "$ready"
