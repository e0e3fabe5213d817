"""Reads variables of the module, and prints what a plan makes of them; see `planned`."""

import json
import sys

from tf import GROUP, plan


def main() -> None:
    """One plan."""
    group = sys.argv[1] if len(sys.argv) > 1 else GROUP
    outcome = plan("planned", {"planned": json.load(sys.stdin)}, group=group)["planned"]
    if outcome.errors:
        print(json.dumps({"errors": outcome.errors}))
        return
    (template,) = outcome.resources("aws_launch_template")
    print(json.dumps({"errors": [], "user_data": template["user_data"], "config_toml": outcome.output("config_toml")}))


main()
