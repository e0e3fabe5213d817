#!/bin/sh
# Makes what a manager needs in IAM and SSM. Printed by "runner-fleet iam-policy --aws-cli", from its configuration.
#
# Keep it in a file and run that: sh FILE. It may be run again: policies are put anew; roles and profiles that exist
# stay. Tokens are asked for, or read from standard input, one a line in the order below; an empty line keeps what is
# stored.
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

# role PATH NAME; who may assume it comes from standard input.
role() {
    if there aws iam get-role --role-name "$2"; then
        echo "role $2: exists"
        return
    fi
    aws iam create-role --path "$1" --role-name "$2" --assume-role-policy-document file:///dev/stdin \
        --tags Key=runner-fleet:manager,Value="$manager" >/dev/null
    echo "role $2: made"
}

# policy ROLE; the document comes from standard input.
policy() {
    aws iam put-role-policy --role-name "$1" --policy-name "runner-fleet-$manager" --policy-document file:///dev/stdin
    echo "role $1: policy runner-fleet-$manager put"
}

# profile PATH NAME ROLE
profile() {
    if there aws iam get-instance-profile --instance-profile-name "$2"; then
        echo "instance profile $2: exists"
    else
        aws iam create-instance-profile --path "$1" --instance-profile-name "$2" \
            --tags Key=runner-fleet:manager,Value="$manager" >/dev/null
        echo "instance profile $2: made"
    fi
    roles=$(aws iam get-instance-profile --instance-profile-name "$2" \
        --query 'InstanceProfile.Roles[].RoleName' --output text)
    if [ "$roles" != "$3" ]; then
        aws iam add-role-to-instance-profile --instance-profile-name "$2" --role-name "$3"
    fi
}

# token REGION PARAMETER WHAT; the value comes from standard input and is never an argument.
token() {
    stored=no
    if there aws ssm get-parameter --region "$1" --name "$2"; then stored=yes; fi
    value=
    if [ -t 0 ]; then
        printf '%s, for the parameter %s (not shown; empty keeps what is stored): ' "$3" "$2" >&2
        trap 'stty echo' EXIT
        stty -echo
        IFS= read -r value || true
        stty echo
        trap - EXIT
        echo >&2
    else
        IFS= read -r value || true
    fi
    if [ -n "$value" ]; then
        printf '%s' "$value" | aws ssm put-parameter --region "$1" --name "$2" --description "$3" \
            --type SecureString --overwrite --value file:///dev/stdin >/dev/null
        echo "parameter $2: stored"
    elif [ "$stored" = yes ]; then
        echo "parameter $2: kept"
    else
        echo "parameter $2: nothing is stored and nothing was given; run this again and give it: $3" >&2
        exit 1
    fi
}

