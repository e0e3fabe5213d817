//! How values are written in JSON where serde has no form of its own for them.

/// Durations in JSON: a number of seconds, to the millisecond.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        in_seconds(duration).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }

    fn in_seconds(duration: &Duration) -> f64 {
        (duration.as_secs_f64() * 1000.0).round() / 1000.0
    }

    pub(crate) mod optional {
        use std::time::Duration;

        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        pub(crate) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
            duration.as_ref().map(super::in_seconds).serialize(serializer)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
            let seconds = Option::<f64>::deserialize(deserializer)?;
            seconds.map(Duration::try_from_secs_f64).transpose().map_err(serde::de::Error::custom)
        }
    }
}
