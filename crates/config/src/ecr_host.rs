//! Host names of Amazon's container registries: which forms there are, what each asks of the credential helper, and what
//! to write instead of a wrong one.
//!
//! A private registry is `<account>.dkr.ecr.<region>.<suffix>`, with `ecr-fips` for FIPS endpoints, and
//! `<account>.dkr-ecr.<region>.<dual-stack suffix>` for IPv4 and IPv6. The suffix follows from the region's partition.
//! Sources: `ecr-login/api/client.go` and the changelog of awslabs/amazon-ecr-credential-helper; Amazon ECR endpoints,
//! <https://docs.aws.amazon.com/general/latest/gr/ecr.html>.

use super::node::{Node, shown_text};
use super::values;

/// A registry host that the credential helper recognises: exact, in lower case, without scheme, port or path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EcrHost(String);

/// A part of the AWS world with its own host names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Partition {
    /// In ARNs.
    name: &'static str,
    /// How its regions begin; the first partition that fits is the one.
    regions: &'static str,
    /// For messages.
    place: &'static str,
    suffix: &'static str,
    dual_stack: Option<&'static str>,
    /// The first helper release that knows its hosts, where that is newer than [`HelperVersion::OLDEST`].
    helper: HelperVersion,
}

const PARTITIONS: [Partition; 8] = [
    Partition::new("aws-cn", "cn-", "China", "amazonaws.com.cn").dual("on.amazonwebservices.com.cn"),
    Partition::new("aws-eusc", "eusc-", "the European Sovereign Cloud", "amazonaws.eu").since(HelperVersion(0, 11, 0)),
    Partition::new("aws-iso-b", "us-isob-", "an isolated region", "sc2s.sgov.gov"),
    Partition::new("aws-iso-f", "us-isof-", "an isolated region", "csp.hci.ic.gov"),
    Partition::new("aws-iso-e", "eu-isoe-", "an isolated region", "cloud.adc-e.uk"),
    Partition::new("aws-iso", "us-iso-", "an isolated region", "c2s.ic.gov"),
    Partition::new("aws-us-gov", "us-gov-", "GovCloud", "amazonaws.com").dual("on.aws"),
    Partition::new("aws", "", "the commercial regions", "amazonaws.com").dual("on.aws"),
];

/// The public registries' hosts, with the first helper release that knows them.
const PUBLIC: [(&str, HelperVersion); 2] =
    [("public.ecr.aws", HelperVersion(0, 5, 0)), ("ecr-public.aws.com", HelperVersion(0, 12, 0))];

/// Dual-stack hosts. Source: the helper's changelog.
const DUAL_STACK: HelperVersion = HelperVersion(0, 10, 0);

/// A release of the helper: major, minor, patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HelperVersion(u32, u32, u32);

impl HelperVersion {
    /// Knows the classic and FIPS hosts, and the roles of instances.
    const OLDEST: Self = Self(0, 2, 0);
    /// Makes `docker login` to a registry that the helper answers for harmless (`AWS_ECR_IGNORE_CREDS_STORAGE`).
    pub const IGNORES_LOGIN: Self = Self(0, 9, 0);

    /// Reads `0.12.0`, also with more behind it (`0.12.0-rc1`); `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let numbers = text.split(['-', '+', '~']).next()?;
        let mut parts = numbers.split('.').map(|part| part.parse().ok());
        let version = Self(parts.next()??, parts.next()??, parts.next()??);
        parts.next().is_none().then_some(version)
    }
}

impl std::fmt::Display for HelperVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(major, minor, patch) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

impl Partition {
    const fn new(name: &'static str, regions: &'static str, place: &'static str, suffix: &'static str) -> Self {
        Self { name, regions, place, suffix, dual_stack: None, helper: HelperVersion::OLDEST }
    }

    const fn dual(self, suffix: &'static str) -> Self {
        Self { dual_stack: Some(suffix), ..self }
    }

    const fn since(self, helper: HelperVersion) -> Self {
        Self { helper, ..self }
    }
}

/// Where the regions of a partition are, for messages.
pub(crate) fn place_of(partition: &str) -> &'static str {
    PARTITIONS.iter().find(|known| known.name == partition).map_or("another part of AWS", |known| known.place)
}

/// The partition of a region, as ARNs begin (`aws`, `aws-cn`, `aws-us-gov`, …).
pub fn partition_of(region: &str) -> &'static str {
    PARTITIONS.iter().find(|partition| region.starts_with(partition.regions)).map_or("aws", |partition| partition.name)
}

impl EcrHost {
    /// The host name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The registry that a text names in any form: with scheme, port or path, in whatever case.
    pub(crate) fn in_text(text: &str) -> Option<Self> {
        let host = bare(text);
        check(&host).is_ok().then_some(Self(host))
    }

    /// The account and region of a private registry; `None` for the public ones.
    pub fn account_and_region(&self) -> Option<(&str, &str)> {
        Private::read(&self.0).map(|private| (private.account, private.region))
    }

    /// As ARNs begin (`aws`, `aws-cn`); `None` for the public registries, which belong to no region of the user's.
    pub fn partition(&self) -> Option<&'static str> {
        Private::read(&self.0).and_then(|private| private.partition()).map(|partition| partition.name)
    }

    /// The first release of the credential helper that answers for this host.
    pub fn needs_helper(&self) -> HelperVersion {
        if let Some((_, version)) = PUBLIC.iter().find(|(host, _)| *host == self.0) {
            return *version;
        }
        let Some(private) = Private::read(&self.0) else { return HelperVersion::OLDEST };
        let of_partition = private.partition().map_or(HelperVersion::OLDEST, |partition| partition.helper);
        if private.dual_stack { of_partition.max(DUAL_STACK) } else { of_partition }
    }
}

/// The parts of a private registry's host.
#[derive(Clone, Copy, Debug)]
struct Private<'h> {
    account: &'h str,
    region: &'h str,
    /// What follows the region.
    suffix: &'h str,
    fips: bool,
    dual_stack: bool,
}

impl<'h> Private<'h> {
    /// Splits `<account>.dkr.ecr.<region>.<suffix>`; says nothing about whether the parts make sense.
    fn read(host: &'h str) -> Option<Self> {
        let (account, rest) = host.split_once('.')?;
        let forms = [
            ("dkr.ecr.", false, false),
            ("dkr.ecr-fips.", true, false),
            ("dkr-ecr.", false, true),
            ("dkr-ecr-fips.", true, true),
        ];
        let (rest, fips, dual_stack) =
            forms.into_iter().find_map(|(form, fips, dual)| Some((rest.strip_prefix(form)?, fips, dual)))?;
        let (region, suffix) = rest.split_once('.')?;
        Some(Self { account, region, suffix, fips, dual_stack })
    }

    fn partition(&self) -> Option<&'static Partition> {
        PARTITIONS.iter().find(|partition| self.region.starts_with(partition.regions))
    }

    /// The host with these parts, put right: the suffix as the region wants it.
    fn right_form(&self, partition: &Partition) -> String {
        let Self { account, region, suffix: _, fips, dual_stack } = self;
        let fips = if *fips { "-fips" } else { "" };
        match partition.dual_stack {
            Some(suffix) if *dual_stack => format!("{account}.dkr-ecr{fips}.{region}.{suffix}"),
            _ => format!("{account}.dkr.ecr{fips}.{region}.{}", partition.suffix),
        }
    }

    /// What is wrong with the parts, and what to write.
    fn check(&self) -> Result<(), String> {
        let Self { account, region, suffix, fips: _, dual_stack } = *self;
        if account == "*" {
            return Err(NO_WILDCARDS.to_owned());
        }
        if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("{} is not an account; write its 12 digits", shown_text(account)));
        }
        if region == "*" {
            return Err(NO_WILDCARDS.to_owned());
        }
        if !super::ids::is_region(region) {
            return Err(format!("{} is not a region; write one like \"eu-central-1\"", shown_text(region)));
        }
        let Some(partition) = self.partition() else { return Ok(()) };
        let wanted = if dual_stack { partition.dual_stack } else { Some(partition.suffix) };
        let right = self.right_form(partition);
        match wanted {
            Some(wanted) if suffix == wanted => Ok(()),
            Some(_) if dual_stack && suffix == partition.suffix => {
                let classic = Private { dual_stack: false, ..*self }.right_form(partition);
                Err(format!("this mixes the dual-stack form with the classic one; write {right:?} or {classic:?}"))
            }
            Some(_) if !dual_stack && Some(suffix) == partition.dual_stack => {
                let dual = Private { dual_stack: true, ..*self }.right_form(partition);
                Err(format!("this mixes the classic form with the dual-stack one; write {dual:?} or {right:?}"))
            }
            Some(_) => Err(format!("{region} is in {}; write {right:?}", partition.place)),
            None => Err(format!("{} has no dual-stack hosts; write {right:?}", partition.place)),
        }
    }
}

const NO_WILDCARDS: &str = "Docker's credHelpers know no wildcards; write every host in full";
const EXAMPLE: &str = "write one like \"123456789012.dkr.ecr.eu-central-1.amazonaws.com\" or \"public.ecr.aws\"";

/// Reads one registry host.
pub(super) fn read(node: &Node) -> Result<EcrHost, String> {
    let text = values::text(node)?;
    let shown = shown_text(&text);
    let bare = bare(&text);
    match check(&bare) {
        Ok(()) if bare == text => Ok(EcrHost(bare)),
        Ok(()) => Err(format!("{shown} {}; write {bare:?}", excess(&text))),
        Err(why) => Err(format!("{shown}: {why}")),
    }
}

/// The host alone, as Docker's `credHelpers` want it.
fn bare(text: &str) -> String {
    let lower = text.trim().to_ascii_lowercase();
    let host = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://")).unwrap_or(&lower);
    let host = host.split(['/', '@', '?', '#']).next().unwrap_or_default();
    host.split(':').next().unwrap_or_default().trim_end_matches('.').to_owned()
}

/// What of a text is too much for a host.
fn excess(text: &str) -> &'static str {
    let lower = text.to_ascii_lowercase();
    let host = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"));
    match host {
        Some(_) => "is an address, not a host",
        None if lower.contains('/') => "names a repository, not only the host",
        None if lower.contains([':', '@']) => "is more than a host",
        None if lower != text => "is not in lower case, and Docker compares hosts letter by letter",
        None => "is more than a host",
    }
}

fn check(host: &str) -> Result<(), String> {
    if PUBLIC.iter().any(|(public, _)| *public == host) {
        return Ok(());
    }
    if let Some(private) = Private::read(host) {
        return private.check();
    }
    if host.contains('*') {
        return Err(NO_WILDCARDS.to_owned());
    }
    if let Some(region) = api_region(host) {
        let right = Private { account: "123456789012", region, suffix: "", fips: false, dual_stack: false };
        let right = right.partition().map(|partition| right.right_form(partition)).unwrap_or_default();
        return Err(format!("that is the address of ECR's API; write the registry, like {right:?}"));
    }
    if host.starts_with("dkr.") || host.starts_with("dkr-") {
        return Err(format!("the account is missing; {EXAMPLE}"));
    }
    if ["public.ecr.amazonaws.com", "api.ecr-public"].iter().any(|sign| host.starts_with(sign))
        || host.contains("gallery.ecr.aws")
    {
        return Err("write \"public.ecr.aws\", the registry of the public gallery".to_owned());
    }
    if ["docker.io", "registry-1.docker.io", "index.docker.io", "hub.docker.com"].contains(&host) {
        return Err(format!(
            "Docker Hub is not Amazon's, and the helper does not answer for it (a job logs in there with \
             `docker login`); {EXAMPLE}"
        ));
    }
    Err(format!("this is no ECR host; {EXAMPLE}"))
}

/// The region of `ecr.<region>.…`, `api.ecr.<region>.…`, `ecr-fips.…`, `ecr.<region>.api.aws`: ECR's API.
fn api_region(host: &str) -> Option<&str> {
    let rest = host.strip_prefix("api.").unwrap_or(host);
    let rest = rest.strip_prefix("ecr.").or_else(|| rest.strip_prefix("ecr-fips."))?;
    rest.split('.').next().filter(|region| super::ids::is_region(region))
}

#[cfg(test)]
mod tests {
    use super::super::node::At;
    use super::*;

    fn parsed(text: &str) -> Result<EcrHost, String> {
        read(&Node::text(&At::root(), text))
    }

    #[test]
    fn every_form_gives_region_partition_and_helper() {
        let good = [
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", Some("eu-central-1"), Some("aws"), "0.2.0"),
            ("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", Some("us-east-1"), Some("aws"), "0.2.0"),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                Some("us-gov-west-1"),
                Some("aws-us-gov"),
                "0.2.0",
            ),
            ("123456789012.dkr-ecr.eu-central-1.on.aws", Some("eu-central-1"), Some("aws"), "0.10.0"),
            ("123456789012.dkr-ecr-fips.us-east-1.on.aws", Some("us-east-1"), Some("aws"), "0.10.0"),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", Some("cn-north-1"), Some("aws-cn"), "0.2.0"),
            (
                "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
                Some("cn-north-1"),
                Some("aws-cn"),
                "0.10.0",
            ),
            ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", Some("eusc-de-east-1"), Some("aws-eusc"), "0.11.0"),
            ("123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", Some("us-iso-east-1"), Some("aws-iso"), "0.2.0"),
            ("123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov", Some("us-isob-east-1"), Some("aws-iso-b"), "0.2.0"),
            ("123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk", Some("eu-isoe-west-1"), Some("aws-iso-e"), "0.2.0"),
            (
                "123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov",
                Some("us-isof-south-1"),
                Some("aws-iso-f"),
                "0.2.0",
            ),
            ("public.ecr.aws", None, None, "0.5.0"),
            ("ecr-public.aws.com", None, None, "0.12.0"),
        ];
        for (text, region, partition, helper) in good {
            let host = parsed(text).unwrap();
            assert_eq!(host.as_str(), text);
            assert_eq!(host.account_and_region(), region.map(|region| ("123456789012", region)), "{text}");
            assert_eq!((host.partition(), host.needs_helper().to_string().as_str()), (partition, helper), "{text}");
        }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let version = |text| HelperVersion::parse(text).unwrap();
        assert!(version("0.10.0") > version("0.9.9") && version("1.0.0") > version("0.12.0"));
        assert_eq!(version("0.12.0-rc1"), version("0.12.0"));
        for bad in ["", "0.12", "1.2.3.4", "a.b.c", "-1.0.0", "99999999999.0.0"] {
            assert_eq!(HelperVersion::parse(bad), None, "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_and_what_it_advises_is_good(text in "[0-9a-z.:/*@ A-Z-]{0,80}") {
            if let Err(message) = parsed(&text)
                && let Some((_, rest)) = message.rsplit_once("; write \"")
                && let Some((host, "")) = rest.split_once('"')
            {
                proptest::prop_assert!(parsed(host).is_ok(), "{message}");
            }
        }
    }
}
