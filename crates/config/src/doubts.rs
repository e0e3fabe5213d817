//! Values of the right form that can hardly be meant: names that AWS does not have, ids of no such length, an image
//! for the other processor. All of them are warnings, since AWS has new names every month, and what exists is
//! `doctor`'s to know.
//!
//! Names: botocore 1.44.8, the model of EC2 (`InstanceType`) and its list of endpoints.

use runner_fleet_engine::Arch;

use super::ids::is_region;
use super::node::{Node, Table, shown_text};
use super::problems::Report;
use super::reader::Reader;

const REGIONS: &str = "\
    af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 \
    ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-central-1 ca-west-1 \
    eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 \
    me-central-1 me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2 cn-north-1 cn-northwest-1 \
    us-gov-east-1 us-gov-west-1 us-iso-east-1 us-iso-west-1 us-isob-east-1 us-isob-west-1 eu-isoe-west-1 \
    us-isof-east-1 us-isof-south-1 eusc-de-east-1";

/// What stands before the point of an instance type.
const FAMILIES: &str = "\
    a1 c1 c3 c4 c5 c5a c5ad c5d c5n c6a c6g c6gd c6gn c6i c6id c6in c7a c7g c7gd c7gn c7i c7i-flex c8a c8g c8gb c8gd \
    c8gn c8i c8i-flex c8ib c8id c8in c8ine c9g c9gd cc1 cc2 cg1 cr1 d2 d3 d3en dl1 dl2q f1 f2 g2 g3 g3s g4ad g4dn g5 \
    g5g g6 g6e g6f g7 g7e gr6 gr6f h1 hi1 hpc6a hpc6id hpc7a hpc7g hpc8a hs1 i2 i3 i3en i4g i4i i7i i7ie i8g i8ge \
    im4gn inf1 inf2 is4gen m1 m2 m3 m4 m5 m5a m5ad m5d m5dn m5n m5zn m6a m6g m6gd m6i m6id m6idn m6in m7a m7g m7gd \
    m7i m7i-flex m8a m8azn m8g m8gb m8gd m8gn m8i m8i-flex m8ib m8id m8idb m8idn m8in m8ine m9g m9gd mac-m3ultra \
    mac-m4 mac-m4max mac-m4pro mac1 mac2 mac2-m1ultra mac2-m2 mac2-m2pro p2 p3 p3dn p4d p4de p5 p5e p5en p6-b200 \
    p6-b300 p6e-gb200 r3 r4 r5 r5a r5ad r5b r5d r5dn r5n r6a r6g r6gd r6i r6id r6idn r6in r7a r7g r7gd r7i r7iz r8a \
    r8g r8gb r8gd r8gn r8i r8i-flex r8ib r8id r8idb r8idn r8in r9g r9gd t1 t2 t3 t3a t4g t8i trn1 trn1n trn2 trn2u \
    u-12tb1 u-18tb1 u-24tb1 u-3tb1 u-6tb1 u-9tb1 u7i-12tb u7i-6tb u7i-8tb u7ib-12tb u7in-16tb u7in-24tb u7in-32tb \
    u7inh-32tb vt1 x1 x1e x2gd x2idn x2iedn x2iezn x8aedz x8g x8i z1d";

/// And behind it.
const SIZES: &str = "\
    10xlarge 112xlarge 12xlarge 16xlarge 18xlarge 224xlarge 24xlarge 2xlarge 32xlarge 36xlarge 3xlarge 480xlarge \
    48xlarge 4xlarge 56xlarge 64xlarge 6xlarge 8xlarge 96xlarge 9xlarge large medium metal metal-12xl metal-16xl \
    metal-24xl metal-32xl metal-48xl metal-96xl micro nano small xlarge";

/// Ids of EC2 are that many hexadecimal digits, the older ones and those of today.
/// Source: EC2 User Guide, "Resource IDs".
const ID_DIGITS: [usize; 2] = [8, 17];

/// Warns of those in `[runners.fleet]`.
pub(crate) fn in_fleet(reader: &Reader<'_>, arch: Option<Arch>, report: &mut Report) {
    let one = |key: &'static str| reader.node(key).into_iter().collect::<Vec<_>>();
    let each = |key: &'static str| reader.node(key).and_then(Node::as_array).unwrap_or_default().iter();
    for node in one("region") {
        tell(node, region, report);
    }
    for node in each("instance_types") {
        tell(node, instance_type, report);
    }
    let ids = one("ami").into_iter().chain(each("subnets")).chain(each("security_groups"));
    ids.for_each(|node| tell(node, id, report));
    let helper = reader.node("ecr").and_then(Node::as_table).and_then(|ecr| ecr.get("helper_url"));
    let named = one("ami").into_iter().chain(one("runner_url")).chain(helper);
    named.for_each(|node| tell(node, |text| other_architecture(text, arch), report));
}

/// Warns of those in `[runners.docker]`.
pub(crate) fn in_docker(section: &Table, arch: Arch, report: &mut Report) {
    let Some(docker) = section.get("docker").and_then(Node::as_table) else { return };
    for node in ["image", "helper_image"].iter().filter_map(|key| docker.get(key)) {
        tell(node, |text| other_architecture(text, Some(arch)), report);
    }
}

fn tell(node: &Node, doubt: impl FnOnce(&str) -> Option<String>, report: &mut Report) {
    if let Some(message) = node.as_str().and_then(doubt) {
        report.warn(&node.at, message);
    }
}

fn region(name: &str) -> Option<String> {
    // Of another form, it is a problem and told as one.
    let is_unknown = is_region(name) && !REGIONS.split(' ').any(|known| known == name);
    is_unknown.then(|| format!("{name:?} is no region of AWS that this release knows{}", hint(&near(name, REGIONS, 2))))
}

fn instance_type(name: &str) -> Option<String> {
    let (family, size) = name.split_once('.')?;
    let corrected = |part: &str, known: &str, edits: usize| match known.split(' ').any(|known| known == part) {
        true => Some(part.to_owned()),
        false => near(part, known, edits),
    };
    let meant = corrected(family, FAMILIES, 1).zip(corrected(size, SIZES, 2));
    let meant = meant.map(|(family, size)| format!("{family}.{size}"));
    (meant.as_deref() != Some(name))
        .then(|| format!("{name:?} is no instance type that this release knows{}", hint(&meant)))
}

fn hint(meant: &Option<String>) -> String {
    meant.as_ref().map(|name| format!("; did you mean {name:?}?")).unwrap_or_default()
}

/// The known word that so few edits make of this one.
fn near(word: &str, known: &str, edits_max: usize) -> Option<String> {
    const CHARS_MAX: usize = 40;
    if word.len() > CHARS_MAX {
        return None;
    }
    let scored = known.split(' ').map(|known| (strsim::damerau_levenshtein(word, known), known));
    scored.filter(|(edits, _)| *edits <= edits_max).min_by_key(|(edits, _)| *edits).map(|(_, known)| known.to_owned())
}

fn id(text: &str) -> Option<String> {
    let (prefix, digits) = ["ami-", "subnet-", "sg-"]
        .into_iter()
        .find_map(|prefix| text.strip_prefix(prefix).map(|digits| (prefix, digits)))?;
    let is_hex = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    (!is_hex || !ID_DIGITS.contains(&digits.len())).then(|| {
        format!(
            "{} is not like the ids of EC2, which have 8 or 17 hexadecimal digits ({prefix}0123456789abcdef0)",
            shown_text(text)
        )
    })
}

/// That a name speaks of the processor that the instance types do not have.
fn other_architecture(name: &str, arch: Option<Arch>) -> Option<String> {
    let (arch, named) = (arch?, architecture(name)?);
    (named != arch).then(|| {
        format!("its name says {named}, but the instance types are {arch}; write the one for {arch}, or other types")
    })
}

/// The processor that a name speaks of, if it speaks of one.
fn architecture(name: &str) -> Option<Arch> {
    let name = name.to_ascii_lowercase().replace("x86_64", "amd64").replace("x86-64", "amd64");
    let mut named = name.split(|c: char| !c.is_ascii_alphanumeric()).filter_map(|word| match word {
        "arm64" | "aarch64" | "arm64v8" | "graviton" => Some(Arch::Arm64),
        "amd64" | "x64" => Some(Arch::Amd64),
        _ => None,
    });
    let first = named.next()?;
    named.all(|other| other == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_aws_does_not_have_are_doubted() {
        let cases = [
            (region as fn(&str) -> Option<String>, "eu-central-1", None),
            (region, "us-gov-west-1", None),
            (region, "eusc-de-east-1", None),
            (region, "eu-centrl-1", Some("\"eu-central-1\"")),
            (region, "us-east-9", Some("\"us-east-")),
            (region, "moon-north-1", Some("this release knows")),
            (instance_type, "c7g.large", None),
            (instance_type, "m7i-flex.2xlarge", None),
            (instance_type, "m8gd.metal-24xl", None),
            (instance_type, "u-6tb1.metal", None),
            (instance_type, "c7g.lrage", Some("\"c7g.large\"")),
            (instance_type, "cg7.large", Some("\"c7g.large\"")),
            (instance_type, "c7gg.xlrage", Some("\"c7g.xlarge\"")),
            (instance_type, "q99z.large", Some("this release knows")),
            (id, "subnet-0123456789abcdef0", None),
            (id, "ami-0a1b2c3d", None),
            (id, "ssm:/path", None),
            (id, "subnet-1", Some("subnet-0123456789abcdef0")),
            (id, "sg-0123456789ABCDEF0", Some("sg-0123456789abcdef0")),
            (id, "ami-0123456789abcdefg", Some("ami-0123456789abcdef0")),
        ];
        for (doubt, name, expected) in cases {
            match (doubt(name), expected) {
                (None, None) => {}
                (Some(said), Some(part)) => assert!(said.contains(part), "{name}: {said}"),
                (said, expected) => panic!("{name}: {said:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn a_name_that_speaks_of_one_processor_is_believed() {
        let cases = [
            ("ssm:/aws/service/debian/release/12/latest/arm64", Some(Arch::Arm64)),
            ("ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", Some(Arch::Amd64)),
            ("ssm:/ci/x86-64/image", Some(Arch::Amd64)),
            ("gitlab/gitlab-runner-helper:x86_64-v19.2.0", Some(Arch::Amd64)),
            ("arm64v8/alpine:3", Some(Arch::Arm64)),
            ("https://example.com/gitlab-runner-linux-amd64", Some(Arch::Amd64)),
            ("ssm:/ci/arm64-and-amd64", None),
            ("alpine:latest", None),
            ("charm64", None),
        ];
        for (name, expected) in cases {
            assert_eq!(architecture(name), expected, "{name}");
        }
    }
}
