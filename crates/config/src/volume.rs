//! `root_volume`: the worker's only disk.

use super::key::{Key, Kind, words};
use super::node::{Node, Table, shown_text};
use super::problems::Report;
use super::reader::Reader;
use super::values;

/// The keys of the table.
pub(crate) const KEYS: &[Key] = &[
    Key::optional("size_gib", Kind::Whole(1, SIZE_GIB_MAX)),
    Key::optional("type", Kind::Word(&[&words(&TYPES)])),
    Key::optional("encrypted", Kind::Boolean),
    Key::optional("iops", Kind::Whole(100, 256_000)),
    Key::optional("throughput", Kind::Whole(THROUGHPUT.0, THROUGHPUT.1)),
    Key::optional("kms_key_id", Kind::Text),
    Key::optional("device", Kind::Like("^/dev/.")),
];

/// EBS' largest general purpose volume.
const SIZE_GIB_MAX: u32 = 65_536;

/// What gp3 does without being paid for more. Source: EBS pricing page.
const GP3_IOPS: u32 = 3_000;
/// gp3's, in MiB/s, from and to; it does the first without being paid for more.
const THROUGHPUT: (u32, u32) = (125, 2_000);

/// The root disk of a worker; deleted with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootVolume {
    /// GiB, 1 to 65,536. Default 30.
    pub size_gib: u32,
    /// Default gp3.
    pub volume_type: VolumeType,
    /// Default true.
    pub encrypted: bool,
    /// gp3, io1 and io2 only; required for io1 and io2.
    pub iops: Option<u32>,
    /// MiB/s; gp3 only.
    pub throughput: Option<u32>,
    /// Key id, alias or ARN; the account's default key when absent.
    pub kms_key_id: Option<String>,
    /// The image's root device; `None`: as the image says.
    pub device: Option<String>,
}

/// The EBS types that can be a root disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeType {
    /// General purpose, with IOPS and throughput of one's choice.
    Gp3,
    /// General purpose, speed by size.
    Gp2,
    /// Provisioned IOPS.
    Io1,
    /// Provisioned IOPS, more durable.
    Io2,
    /// Magnetic.
    Standard,
}

const TYPES: [(&str, VolumeType); 5] = [
    ("gp3", VolumeType::Gp3),
    ("gp2", VolumeType::Gp2),
    ("io1", VolumeType::Io1),
    ("io2", VolumeType::Io2),
    ("standard", VolumeType::Standard),
];

impl VolumeType {
    /// As EC2 spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gp3 => "gp3",
            Self::Gp2 => "gp2",
            Self::Io1 => "io1",
            Self::Io2 => "io2",
            Self::Standard => "standard",
        }
    }

    /// The IOPS that may be asked for. Source: EBS User Guide, "Amazon EBS volume types".
    fn iops_range(self) -> Option<(u32, u32)> {
        match self {
            Self::Gp3 => Some((3_000, 80_000)),
            Self::Io1 => Some((100, 64_000)),
            Self::Io2 => Some((100, 256_000)),
            Self::Gp2 | Self::Standard => None,
        }
    }
}

impl RootVolume {
    /// Its size, where its price depends on nothing else: gp3 with the speed that it has by itself.
    pub(crate) fn priced_gib(&self) -> Option<u32> {
        let is_plain = self.volume_type == VolumeType::Gp3 && self.iops.is_none_or(|iops| iops <= GP3_IOPS);
        let is_slow = self.throughput.is_none_or(|throughput| throughput <= THROUGHPUT.0);
        (is_plain && is_slow).then_some(self.size_gib)
    }
}

impl Default for RootVolume {
    fn default() -> Self {
        Self {
            size_gib: 30,
            volume_type: VolumeType::Gp3,
            encrypted: true,
            iops: None,
            throughput: None,
            kms_key_id: None,
            device: None,
        }
    }
}

/// Reads the table.
pub(crate) fn read(table: &Table, report: &mut Report) -> Option<RootVolume> {
    let before = report.problem_count();
    let reader = Reader::new(table, KEYS);
    let default = RootVolume::default();
    let size_gib = reader.or("size_gib", default.size_gib, report, |node| values::whole(node, 1, SIZE_GIB_MAX));
    let volume_type = reader.or("type", default.volume_type, report, |node| values::word(node, &TYPES));
    let encrypted = reader.or("encrypted", default.encrypted, report, values::boolean);
    let iops = volume_type.and_then(|kind| reader.optional("iops", report, |node| iops(node, kind)));
    let throughput = volume_type.and_then(|kind| reader.optional("throughput", report, |node| throughput(node, kind)));
    let kms_key_id = reader.optional("kms_key_id", report, values::text);
    let device = reader.optional("device", report, device);
    if matches!(volume_type, Some(VolumeType::Io1 | VolumeType::Io2)) && !reader.has("iops") {
        report.problem(&reader.at("type"), "io1 and io2 need to know how fast; write iops = 3000, or use gp3");
    }
    if encrypted == Some(false) && reader.has("kms_key_id") {
        report.problem(
            &reader.at("kms_key_id"),
            "a key without encryption; write encrypted = true, or leave the key out",
        );
    }
    reader.finish(report);
    if report.problem_count() > before {
        return None;
    }
    Some(RootVolume {
        size_gib: size_gib?,
        volume_type: volume_type?,
        encrypted: encrypted?,
        iops,
        throughput,
        kms_key_id,
        device,
    })
}

fn iops(node: &Node, kind: VolumeType) -> Result<u32, String> {
    let kind_name = kind.as_str();
    let (min, max) = kind.iops_range().ok_or_else(|| format!("{kind_name} takes no iops; leave it out, or use gp3"))?;
    values::whole(node, min, max)
}

fn throughput(node: &Node, kind: VolumeType) -> Result<u32, String> {
    if kind != VolumeType::Gp3 {
        return Err(format!("{} takes no throughput; leave it out, or use gp3", kind.as_str()));
    }
    values::whole(node, THROUGHPUT.0, THROUGHPUT.1)
}

fn device(node: &Node) -> Result<String, String> {
    let text = values::text(node)?;
    if text.starts_with("/dev/") && text.len() > 5 && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text)
    } else {
        Err(format!("{} is not a device; write the image's root device, like \"/dev/xvda\"", shown_text(&text)))
    }
}
