//! The regions of EC2 that the service talks to: one client for each, made when it is first needed.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::aws::{Aws, AwsError};
use crate::metrics::Calls;

/// Clients by region; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Regions {
    known: Arc<Mutex<Known>>,
    calls: Calls,
}

#[derive(Debug, Default)]
struct Known {
    by_name: BTreeMap<String, Aws>,
    /// Where the manager itself runs, or what its environment says.
    own: Option<Aws>,
}

impl Regions {
    /// With this client for its region, which is the manager's own as well.
    pub fn at_home_in(own: Aws) -> Self {
        let calls = Calls::default();
        own.calls().tell(&calls);
        let by_name = BTreeMap::from([(own.region().to_owned(), own.clone())]);
        Self { known: Arc::new(Mutex::new(Known { by_name, own: Some(own) })), calls }
    }

    /// What counts the requests of these clients; and of others, that it should show beside them.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// The client for a region; `None` is the manager's own.
    ///
    /// # Errors
    /// Nothing names a region.
    pub async fn of(&self, region: Option<&str>) -> Result<Aws, AwsError> {
        let mut known = self.known.lock().await;
        let found = match region {
            Some(name) => known.by_name.get(name).cloned(),
            None => known.own.clone(),
        };
        if let Some(found) = found {
            return Ok(found);
        }
        let fresh = Aws::connect(region).await?;
        fresh.calls().tell(&self.calls);
        // A runner may name the manager's own region: that is one region and one client, not two listings of it.
        let aws = known.by_name.entry(fresh.region().to_owned()).or_insert(fresh).clone();
        if region.is_none() {
            known.own = Some(aws.clone());
        }
        Ok(aws)
    }

    /// All that were ever needed: workers of a runner that is no longer configured are still listed and ended.
    pub async fn all(&self) -> Vec<Aws> {
        self.known.lock().await.by_name.values().cloned().collect()
    }

    /// The one of this name, if it is known.
    pub async fn named(&self, region: &str) -> Option<Aws> {
        self.known.lock().await.by_name.get(region).cloned()
    }
}
