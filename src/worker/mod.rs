//! All that lives on a worker, rendered purely: user-data, config.toml, Docker config, agent.
