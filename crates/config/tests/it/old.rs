//! Old files, and what is made of them.

use std::path::{Path, PathBuf};

use runner_fleet_config::{Config, Loaded, Problems, RunnerFleet, Surroundings, migrate, parse_in};

/// One of `tests/legacy/`.
pub(crate) struct Old {
    pub(crate) text: String,
    path: PathBuf,
}

impl Old {
    /// A file of the field, by its name.
    pub(crate) fn case(name: &str) -> Self {
        Self::of(folder("cases").join(format!("{name}.toml")))
    }

    pub(crate) fn of(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { text, path }
    }

    /// A text that lies nowhere.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), path: PathBuf::from("/etc/gitlab-runner/config.toml") }
    }

    /// The same with other words in it.
    pub(crate) fn with(mut self, from: &str, to: &str) -> Self {
        assert!(self.text.contains(from), "{from:?} is not in {}", self.path.display());
        self.text = self.text.replace(from, to);
        self
    }

    pub(crate) fn load(&self) -> Result<Loaded, Problems> {
        parse_in(&self.text, self.path.to_str().unwrap(), &Surroundings::default())
    }

    pub(crate) fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|problems| panic!("{problems}\n{}", self.text))
    }

    pub(crate) fn migrate(&self) -> Result<String, Problems> {
        migrate(&self.text, self.path.to_str().unwrap(), "ci", &Surroundings::default())
    }

    pub(crate) fn migrated(&self) -> New {
        New { text: self.migrate().unwrap_or_else(|problems| panic!("{problems}")) }
    }

    /// The migrated file, which is accepted and means what the old one means.
    pub(crate) fn same(&self) -> New {
        let new = self.migrated();
        assert_eq!(new.to_dos(), Vec::<&str>::new(), "{}", new.text);
        assert_eq!(new.loaded().config, self.loaded().config, "{}", new.text);
        new
    }

    /// The path of every warning.
    pub(crate) fn warned(&self) -> Vec<String> {
        self.loaded().warnings.into_iter().map(|warning| warning.path).collect()
    }

    pub(crate) fn fleet(&self) -> RunnerFleet {
        self.loaded().config.runners.remove(0).fleet
    }
}

/// What `migrate` prints.
pub(crate) struct New {
    pub(crate) text: String,
}

impl New {
    pub(crate) fn load(&self) -> Result<Loaded, Problems> {
        parse_in(&self.text, "/elsewhere/config.toml", &Surroundings::default())
    }

    pub(crate) fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|problems| panic!("{problems}\n{}", self.text))
    }

    pub(crate) fn config(&self) -> Config {
        self.loaded().config
    }

    pub(crate) fn to_dos(&self) -> Vec<&str> {
        self.text.lines().filter(|line| line.starts_with("# TO DO")).collect()
    }

    /// The comments that name this place of the old file.
    pub(crate) fn words(&self, path: &str) -> Vec<&str> {
        let place = format!("{path}: ");
        self.text.lines().filter(|line| line.starts_with('#') && line.contains(&place)).collect()
    }

    /// The one comment about this place.
    pub(crate) fn word(&self, path: &str) -> &str {
        let words = self.words(path);
        let [word] = words.as_slice() else { panic!("{path}: {words:?}\n{}", self.text) };
        word
    }

    /// The value at a path of the first runner; `fleet.schedule.0.idle_count`.
    pub(crate) fn value(&self, path: &str) -> Option<toml::Value> {
        self.value_of(0, path)
    }

    pub(crate) fn value_of(&self, runner: usize, path: &str) -> Option<toml::Value> {
        let document: toml::Table = self.text.parse().unwrap();
        let mut value = document["runners"].as_array().unwrap().get(runner)?;
        for step in path.split('/') {
            value = match value {
                toml::Value::Array(elements) => elements.get(step.parse::<usize>().unwrap())?,
                other => other.get(step)?,
            };
        }
        Some(value.clone())
    }

    /// Checks values of the first runner, written as in TOML; "" is none.
    #[track_caller]
    pub(crate) fn says(&self, expected: &[(&str, &str)]) {
        for (path, written) in expected {
            let value = self.value(path).map(|value| value.to_string()).unwrap_or_default();
            assert_eq!(value, *written, "{path} in\n{}", self.text);
        }
    }
}

/// A folder of old files.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/legacy").join(name)
}

/// A section of docker+machine of which everything is known.
pub(crate) fn machine(options: &[&str], machine: &str, around: &str) -> Old {
    let options: String = options.iter().map(|option| format!("    {option:?},\n")).collect();
    Old::text(format!(
        r#"concurrent = 10
[fleet]
manager = "ci"
[[runners]]
name = "spot"
url = "https://gitlab.example.com"
token = "glrt-invented"
executor = "docker+machine"
limit = 10
{around}
  [runners.machine]
  {machine}
  MachineDriver = "amazonec2"
  MachineName = "m-%s"
  MachineOptions = [
    "amazonec2-region=eu-central-1", "amazonec2-instance-type=m6g.large", "amazonec2-ami=ami-0123456789abcdef0",
    "amazonec2-subnet-id=subnet-0123456789abcdef0",
{options}  ]
"#
    ))
}

/// The same with a security group, and one idle worker.
pub(crate) fn plain_machine(options: &[&str], around: &str) -> Old {
    let all: Vec<&str> = ["amazonec2-security-group=sg-0123456789abcdef0"].iter().chain(options).copied().collect();
    machine(&all, "IdleCount = 1\n  IdleTime = 600", around)
}

/// A section of docker-autoscaler of which everything is known: 10 instances of 4 jobs.
pub(crate) fn autoscaler(policies: &str) -> Old {
    Old::text(format!(
        r#"concurrent = 50
[fleet]
manager = "ci"
[[runners]]
name = "as"
url = "https://gitlab.example.com"
token = "glrt-invented"
executor = "docker-autoscaler"
  [runners.autoscaler]
  plugin = "fleeting-plugin-aws"
  capacity_per_instance = 4
  max_use_count = 100
  max_instances = 10
    [runners.autoscaler.plugin_config]
    name = "asg"
    region = "eu-central-1"
    [runners.autoscaler.connector_config]
    username = "ec2-user"
{policies}
  [runners.fleet]
  api_token = "glpat-invented"
  ami = "ami-0123456789abcdef0"
  instance_types = ["c7g.large"]
  subnets = ["subnet-0123456789abcdef0"]
  security_groups = ["sg-0123456789abcdef0"]
"#
    ))
}
