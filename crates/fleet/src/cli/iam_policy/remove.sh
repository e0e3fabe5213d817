#!/bin/sh
# Removes what a manager had in IAM and SSM. Printed by "runner-fleet iam-policy --aws-cli --remove"; made from its
# configuration. It may be run again: what is not there is passed over. A role or profile without this manager's tag was
# not made by us and stays; only our policy is taken from it. End the workers and the manager's host before.
set -eu
export AWS_PAGER=''

# Whether a command finds what it names. Any other refusal than "it does not exist" ends the script.
there() {
    if said=$("$@" 2>&1 >/dev/null); then return 0; fi
    case $said in
        *NoSuchEntity* | *ParameterNotFound*) return 1 ;;
    esac
    printf '%s\n' "$said" >&2
    exit 1
}

# profile NAME
profile() {
    there aws iam get-instance-profile --instance-profile-name "$1" || return 0
    owner=$(aws iam get-instance-profile --instance-profile-name "$1" \
        --query "InstanceProfile.Tags[?Key=='runner-fleet:manager'].Value | [0]" --output text)
    if [ "$owner" != "$manager" ]; then
        echo "instance profile $1: not made by this manager, left alone"
        return
    fi
    for role in $(aws iam get-instance-profile --instance-profile-name "$1" \
        --query 'InstanceProfile.Roles[].RoleName' --output text); do
        aws iam remove-role-from-instance-profile --instance-profile-name "$1" --role-name "$role"
    done
    aws iam delete-instance-profile --instance-profile-name "$1"
    echo "instance profile $1: removed"
}

# role NAME
role() {
    there aws iam get-role --role-name "$1" || return 0
    owner=$(aws iam list-role-tags --role-name "$1" \
        --query "Tags[?Key=='runner-fleet:manager'].Value | [0]" --output text)
    if [ "$owner" != "$manager" ]; then
        if there aws iam get-role-policy --role-name "$1" --policy-name "runner-fleet-$manager"; then
            aws iam delete-role-policy --role-name "$1" --policy-name "runner-fleet-$manager"
        fi
        echo "role $1: not made by this manager; it stays, without our policy"
        return
    fi
    for policy in $(aws iam list-role-policies --role-name "$1" --query 'PolicyNames[]' --output text); do
        aws iam delete-role-policy --role-name "$1" --policy-name "$policy"
    done
    for policy in $(aws iam list-attached-role-policies --role-name "$1" \
        --query 'AttachedPolicies[].PolicyArn' --output text); do
        aws iam detach-role-policy --role-name "$1" --policy-arn "$policy"
    done
    aws iam delete-role --role-name "$1"
    echo "role $1: removed"
}

# parameter REGION NAME
parameter() {
    there aws ssm get-parameter --region "$1" --name "$2" || return 0
    aws ssm delete-parameter --region "$1" --name "$2"
    echo "parameter $2: removed"
}

