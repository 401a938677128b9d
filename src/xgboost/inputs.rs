//! All that decides a model, checked, and its fingerprint.

use sha2::{Digest, Sha256};

use super::boosting::FIXED;
use super::dataset::Dataset;
use super::error::TrainError;
use super::library::Version;
use super::params::Params;

/// SHA-256 of [`Inputs`] and the library's version.
pub(super) type Fingerprint = [u8; 32];

/// All that decides a model: the same inputs and the same library give the same bytes.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The rows that trees are grown on.
    pub training: Dataset<'a>,
    /// Rows of the same columns to judge each round by. Category codes that only these hold go left at
    /// every split, as any unknown code does.
    pub validation: Option<Dataset<'a>>,
    /// Hyperparameters.
    pub params: &'a Params,
    /// Seed of everything that is drawn; the lower 63 bits count.
    pub seed: u64,
}

impl Inputs<'_> {
    /// The seed as libxgboost takes it: a signed 64-bit integer of 0 or more.
    pub(super) fn seed(&self) -> u64 {
        self.seed & i64::MAX as u64
    }

    pub(super) fn check(&self) -> Result<(), TrainError> {
        self.params.check().map_err(TrainError::Params)?;
        self.training.check().map_err(|error| TrainError::Dataset { set: "training", error })?;
        match &self.validation {
            Some(validation) => validation
                .check()
                .and_then(|()| validation.check_columns_of(&self.training))
                .map_err(|error| TrainError::Dataset { set: "validation", error }),
            None if self.params.early_stopping_rounds.is_some() => {
                Err(TrainError::EarlyStoppingWithoutValidation)
            }
            None => Ok(()),
        }
    }

    /// The same for the same inputs and library, another one for any others.
    pub(super) fn fingerprint(&self, library: Version) -> Fingerprint {
        let mut hash = Sha256::new_with_prefix(b"binah-ml boosting 1\n");
        let (params, seed) = (self.params, self.seed());
        add_text(&mut hash, &format!("{library} {FIXED:?} {params:?} {seed}"));
        for dataset in [Some(&self.training), self.validation.as_ref()].into_iter().flatten() {
            add_length(&mut hash, dataset.features.n_rows());
            add_length(&mut hash, dataset.features.n_cols());
            for (name, &categorical) in dataset.feature_names.iter().zip(dataset.categorical) {
                add_text(&mut hash, name);
                hash.update([u8::from(categorical)]);
            }
            (0..dataset.features.n_cols()).for_each(|j| add_floats(&mut hash, dataset.features.column(j)));
            add_floats(&mut hash, dataset.target);
        }
        hash.finalize().into()
    }
}

fn add_length(hash: &mut Sha256, length: usize) {
    hash.update((length as u64).to_le_bytes());
}

fn add_text(hash: &mut Sha256, text: &str) {
    add_length(hash, text.len());
    hash.update(text);
}

fn add_floats(hash: &mut Sha256, values: &[f32]) {
    let mut bytes = Vec::with_capacity(4 << 10);
    for values in values.chunks(1 << 10) {
        bytes.clear();
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        hash.update(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::Matrix;

    const LIBRARY: Version = Version { major: 3, minor: 2, patch: 0 };

    #[test]
    fn whatever_decides_a_model_is_in_its_fingerprint() {
        let features = [[vec![1.0, f32::NAN]], [vec![1.0, 0.0]], [vec![1.0, -0.0]]]
            .map(|columns| Matrix::from_columns(columns.into()));
        let names = ["a", "b"].map(|name| [name.to_owned()]);
        let rows = |i: usize, target: &'static [f32], name: usize, categorical: &'static [bool]| Dataset {
            features: &features[i],
            target,
            feature_names: &names[name],
            categorical,
        };
        let (default, deeper) = (Params::default(), Params { max_depth: 7, ..Params::default() });
        let training = rows(0, &[0.0, 1.0], 0, &[false]);
        let inputs = Inputs { training, validation: None, params: &default, seed: 7 };
        let validation = Some(rows(1, &[0.0, 1.0], 0, &[false]));
        let variants = [
            inputs,
            Inputs { training: rows(1, &[0.0, 1.0], 0, &[false]), ..inputs },
            Inputs { training: rows(2, &[0.0, 1.0], 0, &[false]), ..inputs },
            Inputs { training: rows(0, &[0.0, 2.0], 0, &[false]), ..inputs },
            Inputs { training: rows(0, &[0.0, 1.0], 1, &[false]), ..inputs },
            Inputs { training: rows(0, &[0.0, 1.0], 0, &[true]), ..inputs },
            Inputs { validation, ..inputs },
            Inputs { params: &deeper, ..inputs },
            Inputs { seed: 8, ..inputs },
        ];
        let prints = variants.map(|inputs| inputs.fingerprint(LIBRARY));
        for (i, print) in prints.iter().enumerate() {
            assert!(!prints[..i].contains(print), "variant {i} has the fingerprint of an earlier one");
        }
        assert_ne!(inputs.fingerprint(Version { patch: 1, ..LIBRARY }), prints[0]);
        assert_eq!(Inputs { seed: 7 | 1 << 63, ..inputs }.fingerprint(LIBRARY), prints[0]);
    }
}
