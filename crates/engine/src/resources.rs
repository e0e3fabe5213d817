//! What the manager keeps in EC2 beside instances: its key pair, and a launch template for each runner. Here is decided
//! what must be made before a launch, and what of former times nothing needs any more.
//!
//! Level-triggered like everything else: each pass starts from what EC2 shows, so that a lost answer, a crash between two
//! calls or a person who deletes by hand costs time until the next pass, and leaves nothing behind. The live service and
//! the simulated worlds both carry out exactly this.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::ids::{KeyPairName, RunnerName, TemplateName};

/// What EC2 shows of ours, by the manager's tag. Quotas make it worth keeping small: 5,000 key pairs and 5,000 launch
/// templates for a region (EC2 User Guide, "Amazon EC2 service quotas").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The key pairs.
    pub key_pairs: BTreeSet<KeyPairName>,
    /// The launch templates, and whose workers each is for.
    pub templates: BTreeMap<TemplateName, RunnerName>,
}

/// What the launches of one runner need.
#[derive(Clone, Copy, Debug)]
pub struct Required<'a> {
    /// The key pair of the manager's present key.
    pub key_pair: &'a KeyPairName,
    /// Whose workers.
    pub runner: &'a RunnerName,
    /// What they are launched from.
    pub template: &'a TemplateName,
}

/// One call that changes something. Each may be repeated: what is there already, or gone already, is as good as done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ResourceAction {
    /// ImportKeyPair, with the manager's public key.
    ImportKeyPair(KeyPairName),
    /// CreateLaunchTemplate.
    CreateTemplate(TemplateName),
    /// DeleteLaunchTemplate.
    DeleteTemplate(TemplateName),
    /// DeleteKeyPair.
    DeleteKeyPair(KeyPairName),
}

impl fmt::Display for ResourceAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImportKeyPair(name) => write!(f, "import key pair {name}"),
            Self::CreateTemplate(name) => write!(f, "create launch template {name}"),
            Self::DeleteTemplate(name) => write!(f, "delete launch template {name}"),
            Self::DeleteKeyPair(name) => write!(f, "delete key pair {name}"),
        }
    }
}

impl Inventory {
    /// What must be made before workers of this runner can be launched, in this order.
    pub fn missing(&self, required: Required<'_>) -> Vec<ResourceAction> {
        let key_pair = (!self.key_pairs.contains(required.key_pair))
            .then(|| ResourceAction::ImportKeyPair(required.key_pair.clone()));
        let template = (!self.templates.contains_key(required.template))
            .then(|| ResourceAction::CreateTemplate(required.template.clone()));
        key_pair.into_iter().chain(template).collect()
    }

    /// What is to be deleted: this runner's other templates, those of runners that are not `configured` (any more), and the
    /// key pairs of former keys. Running workers need none of it. Another configured runner's templates are its own affair:
    /// only its own look knows which one it needs.
    ///
    /// To be asked some time after the engine has heard of the new template: a launch from the former one may be on its way.
    pub fn leftovers(&self, required: Required<'_>, configured: &BTreeSet<RunnerName>) -> Vec<ResourceAction> {
        let is_left = |name: &TemplateName, of: &RunnerName| {
            name != required.template && (of == required.runner || !configured.contains(of))
        };
        let templates = self.templates.iter().filter(|(name, of)| is_left(name, of));
        let templates = templates.map(|(name, _)| ResourceAction::DeleteTemplate(name.clone()));
        let key_pairs = self.key_pairs.iter().filter(|name| *name != required.key_pair).cloned();
        templates.chain(key_pairs.map(ResourceAction::DeleteKeyPair)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> KeyPairName {
        KeyPairName::new(name)
    }

    fn template(name: &str) -> TemplateName {
        TemplateName::new(name)
    }

    /// The runners `arm` and `x86`; `bygone` is not configured any more.
    struct Case {
        inventory: Inventory,
        key: KeyPairName,
        runner: RunnerName,
        template: TemplateName,
        configured: BTreeSet<RunnerName>,
    }

    impl Case {
        fn new(key_pairs: &[&str], templates: &[(&str, &str)]) -> Self {
            let templates = templates.iter().map(|(name, of)| (template(name), RunnerName::new(*of)));
            Self {
                inventory: Inventory {
                    key_pairs: key_pairs.iter().map(|name| key(name)).collect(),
                    templates: templates.collect(),
                },
                key: key("now"),
                runner: RunnerName::new("arm"),
                template: template("arm-2"),
                configured: ["arm", "x86"].map(RunnerName::new).into(),
            }
        }

        fn missing(&self) -> Vec<ResourceAction> {
            self.inventory.missing(self.needs())
        }

        fn leftovers(&self) -> Vec<ResourceAction> {
            self.inventory.leftovers(self.needs(), &self.configured)
        }

        fn needs(&self) -> Required<'_> {
            Required { key_pair: &self.key, runner: &self.runner, template: &self.template }
        }
    }

    #[test]
    fn from_nothing_key_and_template_are_made() {
        let case = Case::new(&[], &[]);
        assert_eq!(
            case.missing(),
            [ResourceAction::ImportKeyPair(key("now")), ResourceAction::CreateTemplate(template("arm-2"))]
        );
        assert_eq!(case.leftovers(), []);
    }

    #[test]
    fn what_is_needed_is_neither_made_again_nor_deleted() {
        let case = Case::new(&["now"], &[("arm-2", "arm"), ("x86-1", "x86")]);
        assert_eq!(case.missing(), []);
        assert_eq!(case.leftovers(), []);
    }

    #[test]
    fn only_what_is_needed_now_counts_as_there() {
        let case = Case::new(&["former"], &[("arm-1", "arm"), ("x86-1", "x86")]);
        assert_eq!(
            case.missing(),
            [ResourceAction::ImportKeyPair(key("now")), ResourceAction::CreateTemplate(template("arm-2"))]
        );
    }

    #[test]
    fn former_and_orphaned_templates_and_keys_go() {
        let templates =
            [("arm-1", "arm"), ("arm-2", "arm"), ("bygone-1", "bygone"), ("x86-0", "x86"), ("x86-1", "x86")];
        let case = Case::new(&["former", "now"], &templates);
        assert_eq!(
            case.leftovers(),
            [
                ResourceAction::DeleteTemplate(template("arm-1")),
                ResourceAction::DeleteTemplate(template("bygone-1")),
                ResourceAction::DeleteKeyPair(key("former"))
            ]
        );
    }
}
