//! A watch beside another manager, docker+machine or docker-autoscaler, with read rights alone: what its machines were, what
//! jobs waited, which machines nothing explains, and what the same jobs would have met here. It launches nothing, ends
//! nothing, and sends GitLab nothing but GET.
//!
//! Reading order: what was [`seen`], the [`mod@watch`] that sees it, machines that no job explains ([`orphans`]), and the
//! [`mod@report`].

pub mod orphans;
pub mod report;
pub mod seen;
pub mod watch;

pub use report::{Report, report};
pub use seen::Watch;
pub use watch::{Pattern, watch};
