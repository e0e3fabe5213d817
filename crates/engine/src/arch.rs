//! Which processor an instance type has, told from its name.
//!
//! AWS names a family by letters, generation and attributes (`c8gd` = compute, 8th generation, Graviton, local disk);
//! a `g` among the attributes, or the family `a1`, is Graviton.
//! Source: EC2 User Guide, "Amazon EC2 instance type naming conventions".

use std::fmt;

use super::InstanceType;

/// The processor that an image, a binary and an instance type must agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arch {
    /// Graviton: `aarch64`.
    Arm64,
    /// Intel and AMD: `x86_64`.
    Amd64,
}

impl Arch {
    /// The architecture of a type, or `None` when the name is not shaped like one (`c8g.large`).
    pub fn of(instance_type: &InstanceType) -> Option<Self> {
        let (family, size) = instance_type.as_str().split_once('.')?;
        let word = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if family.is_empty() || size.is_empty() || !word(family) || !word(size) {
            return None;
        }
        // The part before the first dash: `u-6tb1` and `mac2-m2` have attributes behind it that mean something else.
        let head = family.split('-').next()?;
        let generation_at = head.find(|c: char| c.is_ascii_digit());
        let Some(generation_at) = generation_at else {
            return family.contains('-').then_some(Self::Amd64);
        };
        let attributes = head.get(generation_at..)?.trim_start_matches(|c: char| c.is_ascii_digit());
        let arm = head == "a1" || head == "mac2" || attributes.contains('g');
        Some(if arm { Self::Arm64 } else { Self::Amd64 })
    }

    /// As Go, Docker, Debian and GitLab Runner's downloads spell it: `arm64`, `amd64`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arm64 => "arm64",
            Self::Amd64 => "amd64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architecture_is_read_from_the_family() {
        let cases = [
            ("c8g.large", Some(Arch::Arm64)),
            ("c7gn.xlarge", Some(Arch::Arm64)),
            ("t4g.micro", Some(Arch::Arm64)),
            ("m8gd.metal-24xl", Some(Arch::Arm64)),
            ("im4gn.large", Some(Arch::Arm64)),
            ("g5g.xlarge", Some(Arch::Arm64)),
            ("x2gd.medium", Some(Arch::Arm64)),
            ("a1.large", Some(Arch::Arm64)),
            ("c7i.large", Some(Arch::Amd64)),
            ("m7i-flex.large", Some(Arch::Amd64)),
            ("g5.xlarge", Some(Arch::Amd64)),
            ("g6e.xlarge", Some(Arch::Amd64)),
            ("t3a.nano", Some(Arch::Amd64)),
            ("u-6tb1.metal", Some(Arch::Amd64)),
            ("p4de.24xlarge", Some(Arch::Amd64)),
            ("c8g", None),
            (".large", None),
            ("c8g.", None),
            ("C8G.large", None),
            ("large.c8g large", None),
        ];
        for (name, expected) in cases {
            assert_eq!(Arch::of(&InstanceType::new(name)), expected, "{name}");
        }
    }
}
