//! Numbers in JSON that may be NaN or infinite: those are the texts that MLflow takes, too.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::client::f64_or_text;

#[derive(Serialize, Deserialize)]
struct Number(#[serde(serialize_with = "f64_or_text", deserialize_with = "number_or_text")] f64);

fn number_or_text<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Text(String),
    }
    match Written::deserialize(from)? {
        Written::Number(number) => Ok(number),
        Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

/// Numbers by name.
pub(super) mod named {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        values: &[(String, f64)],
        into: S,
    ) -> Result<S::Ok, S::Error> {
        into.collect_seq(values.iter().map(|(name, value)| (name, Number(*value))))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(String, f64)>, D::Error> {
        let values = Vec::<(String, Number)>::deserialize(from)?;
        Ok(values.into_iter().map(|(name, Number(value))| (name, value)).collect())
    }
}

/// Lists of numbers by name.
pub(super) mod curves {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        curves: &[(String, Vec<f64>)],
        into: S,
    ) -> Result<S::Ok, S::Error> {
        let numbers = |values: &[f64]| values.iter().copied().map(Number).collect::<Vec<_>>();
        into.collect_seq(curves.iter().map(|(name, values)| (name, numbers(values))))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(String, Vec<f64>)>, D::Error> {
        let curves = Vec::<(String, Vec<Number>)>::deserialize(from)?;
        let plain = |values: Vec<Number>| values.into_iter().map(|Number(value)| value).collect();
        Ok(curves.into_iter().map(|(name, values)| (name, plain(values))).collect())
    }
}
