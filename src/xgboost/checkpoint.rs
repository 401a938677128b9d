//! A training in the middle, as bytes.
//!
//! ```text
//! magic "BINAHXGB" · version u16 · fingerprint of the inputs, 32 bytes
//! rounds u32 · whether there are validation rows u8 · training RMSE f64 of each round
//! [· validation RMSE f64 of each round] · the trees so far as an XGBoost UBJSON model
//! SHA-256, 32 bytes, of all before
//! ```
//! Little-endian. About 35 bytes a node: half a megabyte for 100 trees of depth 6.

use std::num::NonZeroU32;
use std::ops::ControlFlow;

use sha2::{Digest, Sha256};

use super::inputs::Fingerprint;

const MAGIC: &[u8; 8] = b"BINAHXGB";
const VERSION: u16 = 1;
const CHECKSUM_BYTES: usize = 32;

/// Where a training is kept while it runs, and where it goes on from.
pub struct Checkpoints<'a> {
    /// Rounds from one checkpoint to the next, at least. It decides how much is lost, and never the model.
    pub every: NonZeroU32,
    /// Asked after as many rounds whether a checkpoint is wanted now: to make one takes the longer the more trees
    /// there are.
    pub is_wanted: &'a mut dyn FnMut() -> bool,
    /// The last one of a training of the same inputs; none starts from the first round.
    pub last: Option<Checkpoint>,
    /// Called with each new one, on the training thread, which waits for it; `Break` ends the training
    /// with [`TrainError::Cancelled`](super::TrainError::Cancelled). There is none after the last round.
    pub keep: &'a mut dyn FnMut(Checkpoint) -> ControlFlow<()>,
    /// Asked now and then while the rows catch up with the last checkpoint, which takes a tenth of the time
    /// that its rounds took; `Break` ends the training as well.
    pub go_on: &'a mut dyn FnMut() -> ControlFlow<()>,
}

/// All that a training needs, beside its inputs, to go on after a round as if it had never stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    pub(super) fingerprint: Fingerprint,
    /// XGBoost's UBJSON with the trees of all rounds.
    pub(super) model: Vec<u8>,
    pub(super) train_curve: Vec<f64>,
    /// Empty without validation rows.
    pub(super) validation_curve: Vec<f64>,
}

/// Why bytes are no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The magic bytes are missing.
    #[error("not a checkpoint of a boosted model")]
    NotACheckpoint,
    /// A version that is not read.
    #[error("checkpoint version {0} is not known, only {VERSION}")]
    Version(u16),
    /// Bytes are missing, or have changed since they were written.
    #[error("the checkpoint is damaged")]
    Damaged,
}

impl Checkpoint {
    /// Rounds that have ended, from 1.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        // Never more than `Params::n_estimators`.
        self.train_curve.len() as u32
    }

    /// The bytes that [`decode`](Self::decode) reads.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let curves = [&self.train_curve[..], &self.validation_curve];
        let n_values: usize = curves.iter().map(|curve| curve.len()).sum();
        let mut out = Vec::with_capacity(128 + n_values * size_of::<f64>() + self.model.len());
        out.extend(MAGIC);
        out.extend(VERSION.to_le_bytes());
        out.extend(self.fingerprint);
        out.extend(self.rounds().to_le_bytes());
        out.push(u8::from(!self.validation_curve.is_empty()));
        out.extend(curves.into_iter().flatten().flat_map(|value| value.to_le_bytes()));
        out.extend(&self.model);
        let checksum = Sha256::digest(&out);
        out.extend(checksum);
        out
    }

    /// The checkpoint of these bytes. Whether it is one of a given training shows when it goes on.
    ///
    /// # Errors
    /// [`CheckpointError`] for anything that [`encode`](Self::encode) did not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(CheckpointError::NotACheckpoint)?;
        let version = u16::from_le_bytes(take(&mut rest)?);
        if version != VERSION {
            return Err(CheckpointError::Version(version));
        }
        let (content, checksum) =
            bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(CheckpointError::Damaged)?;
        if Sha256::digest(content)[..] != checksum[..] {
            return Err(CheckpointError::Damaged);
        }
        rest = rest.strip_suffix(checksum).ok_or(CheckpointError::Damaged)?;
        let fingerprint = take(&mut rest)?;
        let rounds = u32::from_le_bytes(take(&mut rest)?) as usize;
        let [has_validation] = take(&mut rest)?;
        let mut curve = |length: usize| -> Result<Vec<f64>, CheckpointError> {
            let bytes = rest.split_off(..length * size_of::<f64>()).ok_or(CheckpointError::Damaged)?;
            Ok(bytes.as_chunks().0.iter().map(|&value| f64::from_le_bytes(value)).collect())
        };
        let (train_curve, validation_curve) =
            (curve(rounds)?, curve(if has_validation == 0 { 0 } else { rounds })?);
        Ok(Self { fingerprint, model: rest.to_vec(), train_curve, validation_curve })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], CheckpointError> {
    let (taken, left) = rest.split_first_chunk().ok_or(CheckpointError::Damaged)?;
    *rest = left;
    Ok(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            fingerprint: std::array::from_fn(|i| i as u8),
            model: b"{}".to_vec(),
            train_curve: vec![1.5, 0.1],
            validation_curve: vec![2.5, f64::INFINITY],
        }
    }

    #[test]
    fn a_checkpoint_comes_back_as_it_was() {
        let without_validation = Checkpoint { validation_curve: vec![], ..checkpoint() };
        for checkpoint in [checkpoint(), without_validation] {
            assert_eq!(Checkpoint::decode(&checkpoint.encode()), Ok(checkpoint));
        }
        assert_eq!(checkpoint().rounds(), 2);
    }

    #[test]
    fn bytes_that_were_cut_or_changed_are_refused() {
        let bytes = checkpoint().encode();
        for end in 0..bytes.len() {
            assert!(Checkpoint::decode(&bytes[..end]).is_err(), "{end} bytes");
        }
        for i in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[i] ^= 0x10;
            assert!(Checkpoint::decode(&changed).is_err(), "byte {i}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Checkpoint::decode(&longer), Err(CheckpointError::Damaged));
        let mut later = bytes;
        later[8] = 2;
        assert_eq!(Checkpoint::decode(&later), Err(CheckpointError::Version(2)));
        assert_eq!(Checkpoint::decode(b"BINAHFOR"), Err(CheckpointError::NotACheckpoint));
    }
}
