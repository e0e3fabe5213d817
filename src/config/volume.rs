//! `root_volume`: the worker's only disk.

/// The root disk of a worker; deleted with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootVolume {
    /// GiB, 1 to 65,536. Default 30.
    pub size_gib: u32,
    /// Default gp3.
    pub volume_type: VolumeType,
    /// Default true.
    pub encrypted: bool,
    /// gp3, io1 and io2 only.
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
