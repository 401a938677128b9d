//! A training in the middle, as bytes: segments of some rounds each, one behind the other.
//!
//! ```text
//! magic "BINAHXGB" · version u16 · fingerprint of the inputs, 32 bytes
//! first round u32, counted from 0 · rounds u32 · whether there are validation rows u8
//! training RMSE f64 of each of these rounds [· validation RMSE f64 of each]
//! their trees as an XGBoost UBJSON model, compressed by Zstandard
//! SHA-256, 32 bytes, of all before
//! ```
//! Little-endian. About 12 bytes a node: 150 kB for 100 trees of depth 6.

use std::io;
use std::num::NonZeroU32;
use std::ops::ControlFlow;

use sha2::{Digest, Sha256};

use super::inputs::Fingerprint;

const MAGIC: &[u8; 8] = b"BINAHXGB";
const VERSION: u16 = 2;
const CHECKSUM_BYTES: usize = 32;

/// The least: the training waits for it.
const COMPRESSION_LEVEL: i32 = 1;

/// Where a training is kept while it runs, and where it goes on from.
pub struct Checkpoints<'a> {
    /// Rounds from one checkpoint to the next, at least. It decides how much is lost, and never the model.
    pub every: NonZeroU32,
    /// Asked after as many rounds whether a checkpoint is wanted now.
    pub is_wanted: &'a mut dyn FnMut() -> bool,
    /// The last one of a training of the same inputs; none starts from the first round.
    pub last: Option<Checkpoint>,
    /// Called at each new one with the segments that it adds to those before, in their order, on the training thread,
    /// which waits for it; `Break` ends the training with [`TrainError::Cancelled`](super::TrainError::Cancelled).
    /// There is none after the last round.
    pub keep: &'a mut dyn FnMut(Vec<Segment>) -> ControlFlow<()>,
    /// Asked now and then while the rows catch up with the last checkpoint, which takes a tenth of the time
    /// that its rounds took; `Break` ends the training as well.
    pub go_on: &'a mut dyn FnMut() -> ControlFlow<()>,
}

/// Some rounds of a training. It is small, unless a tree is large: who keeps it has to make others wait for no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The first of its rounds, counted from 0. What is kept from this round on is of no use any more.
    pub first_round: u32,
    /// For [`Checkpoint::decode`].
    pub bytes: Vec<u8>,
}

/// All that a training needs, beside its inputs, to go on after a round as if it had never stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    pub(super) fingerprint: Fingerprint,
    /// XGBoost's UBJSON with the trees of some rounds each, in their order.
    pub(super) models: Vec<Vec<u8>>,
    pub(super) train_curve: Vec<f64>,
    /// Empty without validation rows.
    pub(super) validation_curve: Vec<f64>,
}

/// Why bytes are no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The magic bytes are missing, or there are no bytes at all.
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

    /// The checkpoint of all segments of a training, in their order. Whether it is one of a given training shows when it
    /// goes on.
    ///
    /// # Errors
    /// [`CheckpointError`] for anything else, a segment that is missing between others included.
    pub fn decode(segments: &[Vec<u8>]) -> Result<Self, CheckpointError> {
        let mut decoded = segments.iter().map(|bytes| Self::decode_segment(bytes));
        let (0, mut all) = decoded.next().ok_or(CheckpointError::NotACheckpoint)?? else {
            return Err(CheckpointError::Damaged);
        };
        for segment in decoded {
            let (first_round, segment) = segment?;
            let is_next = first_round == all.rounds()
                && segment.fingerprint == all.fingerprint
                && segment.validation_curve.is_empty() == all.validation_curve.is_empty();
            if !is_next {
                return Err(CheckpointError::Damaged);
            }
            all.models.extend(segment.models);
            all.train_curve.extend(segment.train_curve);
            all.validation_curve.extend(segment.validation_curve);
        }
        Ok(all)
    }

    /// One segment and its first round.
    fn decode_segment(bytes: &[u8]) -> Result<(u32, Self), CheckpointError> {
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
        let first_round = u32::from_le_bytes(take(&mut rest)?);
        let rounds = u32::from_le_bytes(take(&mut rest)?) as usize;
        let [has_validation] = take(&mut rest)?;
        let mut curve = |length: usize| -> Result<Vec<f64>, CheckpointError> {
            let bytes = rest.split_off(..length * size_of::<f64>()).ok_or(CheckpointError::Damaged)?;
            Ok(bytes.as_chunks().0.iter().map(|&value| f64::from_le_bytes(value)).collect())
        };
        let (train_curve, validation_curve) =
            (curve(rounds)?, curve(if has_validation == 0 { 0 } else { rounds })?);
        let model = zstd::decode_all(rest).map_err(|_| CheckpointError::Damaged)?;
        Ok((first_round, Self { fingerprint, models: vec![model], train_curve, validation_curve }))
    }
}

impl Segment {
    /// The rounds from `first_round` on, which the curves have a value of each for, and `model` a tree.
    pub(super) fn encode(
        fingerprint: Fingerprint,
        first_round: u32,
        [train_curve, validation_curve]: [&[f64]; 2],
        model: &[u8],
    ) -> io::Result<Self> {
        let model = zstd::bulk::compress(model, COMPRESSION_LEVEL)?;
        let n_values = train_curve.len() + validation_curve.len();
        let mut bytes = Vec::with_capacity(128 + n_values * size_of::<f64>() + model.len());
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(fingerprint);
        bytes.extend(first_round.to_le_bytes());
        bytes.extend((train_curve.len() as u32).to_le_bytes());
        bytes.push(u8::from(!validation_curve.is_empty()));
        bytes.extend(
            [train_curve, validation_curve].into_iter().flatten().flat_map(|value| value.to_le_bytes()),
        );
        bytes.extend(model);
        let checksum = Sha256::digest(&bytes);
        bytes.extend(checksum);
        Ok(Self { first_round, bytes })
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

    const FINGERPRINT: Fingerprint = [7; 32];

    /// Two rounds and then one.
    fn segments(has_validation: bool) -> Vec<Vec<u8>> {
        let segment = |first_round, train: &[f64], validation: &[f64], model: &[u8]| {
            let validation = if has_validation { validation } else { &[] };
            Segment::encode(FINGERPRINT, first_round, [train, validation], model).expect("compresses").bytes
        };
        vec![segment(0, &[1.5, 0.1], &[2.5, f64::INFINITY], b"{}"), segment(2, &[-0.0], &[0.5], b"{{}}")]
    }

    #[test]
    fn segments_come_back_as_one() {
        for has_validation in [false, true] {
            let decoded = Checkpoint::decode(&segments(has_validation)).expect("whole");
            assert_eq!(decoded.rounds(), 3);
            let expected = Checkpoint {
                fingerprint: FINGERPRINT,
                models: vec![b"{}".to_vec(), b"{{}}".to_vec()],
                train_curve: vec![1.5, 0.1, -0.0],
                validation_curve: if has_validation { vec![2.5, f64::INFINITY, 0.5] } else { vec![] },
            };
            assert_eq!(decoded, expected);
        }
    }

    #[test]
    fn segments_that_do_not_follow_each_other_are_refused() {
        let [first, last] = <[_; 2]>::try_from(segments(true)).expect("two");
        let [_, without_validation] = <[_; 2]>::try_from(segments(false)).expect("two");
        let foreign = Segment::encode([8; 32], 2, [&[0.0], &[0.5]], b"{}").expect("compresses").bytes;
        for others in [
            vec![last.clone()],
            vec![last.clone(), first.clone()],
            vec![first.clone(), first.clone()],
            vec![first.clone(), last.clone(), last],
            vec![first.clone(), without_validation],
            vec![first, foreign],
        ] {
            assert_eq!(Checkpoint::decode(&others), Err(CheckpointError::Damaged));
        }
        assert_eq!(Checkpoint::decode(&[]), Err(CheckpointError::NotACheckpoint));
    }

    #[test]
    fn bytes_that_were_cut_or_changed_are_refused() {
        let bytes = segments(true).swap_remove(0);
        let decode = |bytes: &[u8]| Checkpoint::decode(&[bytes.to_vec()]);
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "{end} bytes");
        }
        for i in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[i] ^= 0x10;
            assert!(decode(&changed).is_err(), "byte {i}");
        }
        assert_eq!(decode(&[&bytes[..], &[0]].concat()), Err(CheckpointError::Damaged));
        let mut later = bytes;
        later[8] = 3;
        assert_eq!(decode(&later), Err(CheckpointError::Version(3)));
        assert_eq!(decode(b"BINAHFOR"), Err(CheckpointError::NotACheckpoint));
    }
}
