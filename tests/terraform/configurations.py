"""config.toml as the module renders it, read again; and the inputs with which every key of it is reached."""

import json
import tomllib
from pathlib import Path

from tf import MINIMAL, ROOT, Json, Outcome

#: The product's own list of keys: every one stands in it.
COMPLETE = ROOT / "config/complete.toml"
#: Where the module has the files that a configuration names, on the manager's host.
ETC = "/etc/runner-fleet"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
SETUP = "#!/bin/sh\necho \"ready: ${HOME} 100%{}\" 'quoted' \\ back\n"

#: Keys of config.toml that are variables of other names.
TOP = {
    "concurrent": "maximum_concurrent_jobs", "check_interval": "gitlab_check_interval",
    "listen_address": "prometheus_listen_address", "log_level": "log_level", "log_format": "log_format",
    "connection_max_age": "connection_max_age",
}


def complete() -> Json:
    """What config/complete.toml says, with the key that is a comment there as it names a file."""
    return tomllib.loads(COMPLETE.read_text().replace("# setup_script", "setup_script"))


def inputs(config: Json) -> Json:
    """The module's variables that should give this configuration: every key goes its own way, none is left behind."""
    fleet = {key: value for key, value in config["fleet"].items() if key not in ("manager", "ssh_key")}
    other = {key: value for key, value in config.items() if key not in (*TOP, "fleet", "runners")}
    manager: Json = {TOP[key]: value for key, value in config.items() if key in TOP}
    manager["extra"] = json.dumps({"fleet": fleet, **other})
    manager["ssh_key_ssm_parameter_name"] = config["fleet"].get("ssh_key", "").removeprefix("ssm:")
    return {
        **MINIMAL,
        "environment": config["fleet"]["manager"],
        "runner_manager": manager,
        "runner_gitlab": {"ca_certificate": CERTIFICATE},
        "runners": {section["name"]: _runner(section) for section in config["runners"]},
    }


def _runner(section: Json) -> Json:
    """A `[[runners]]` section. GitLab Runner's own tables go through `extra`, but for docker's."""
    fleet = {key: value for key, value in section["fleet"].items() if key != "api_token"}
    fleet["setup_script"] = SETUP
    fleet["docker_daemon"] = json.dumps(fleet["docker_daemon"])
    left = ("name", "token", "executor", "tls-ca-file", "docker", "cache", "fleet")
    return {
        **{key: value for key, value in section.items() if key not in left},
        "token_ssm_parameter_name": section["token"].removeprefix("ssm:"),
        "api_token_ssm_parameter_name": "/ci/read-api-token",
        "docker": section["docker"],
        "extra": json.dumps({"cache": section["cache"]}),
        "fleet": fleet,
    }


def expected(config: Json) -> Json:
    """The configuration that comes of it: files lie where the module puts them, and tokens are SSM parameters."""
    for section in config["runners"]:
        section["tls-ca-file"] = f"{ETC}/gitlab-ca.pem"
        section["fleet"]["setup_script"] = f"{ETC}/setup-{section['name']}"
        section["fleet"]["api_token"] = "ssm:/ci/read-api-token"
        section["fleet"]["tags"]["Environment"] = config["fleet"]["manager"]
    return config


def written(outcome: Outcome, folder: Path) -> Path:
    """The planned config.toml in a folder, with what it names beside it: so that the product can read it here."""
    text = outcome.output("config_toml").replace(ETC, str(folder))
    (folder / "config.toml").write_text(text)
    (folder / "gitlab-ca.pem").write_text(CERTIFICATE)
    for section in tomllib.loads(text)["runners"]:
        (folder / f"setup-{section['name']}").write_text(SETUP)
    return folder / "config.toml"
