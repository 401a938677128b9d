//! The native format: compact, versioned, checksummed, little-endian. One ensemble has one
//! encoding.
//!
//! ```text
//! magic "BINAHFOR" · version u16
//! n_features u32 · combine u8 · base_score f32 · link u8 [· average_path_length f64 · offset f64]
//! n_trees u32, then for each tree
//!   n_nodes u32 · left child u32 of each node (u32::MAX: leaf) · value f64, cover f32 of each node
//!   right child u32, feature u32, threshold f32, gain f32, default_left u8 of each inner node
//!   n_categorical u32, then (node u32 · n_codes u32 · codes u32...) for each
//! CRC-32 (IEEE 802.3) u32 of all before
//! ```
//! A leaf's feature, threshold, gain and default direction carry no meaning and are not kept; they
//! come back as 0.

use std::iter::repeat_with;

use super::super::ensemble::{Combine, Ensemble, LEAF, Link, Tree};
use super::super::validate::InvalidEnsemble;

const MAGIC: &[u8; 8] = b"BINAHFOR";
const VERSION: u16 = 1;
/// Bytes that each node takes at least: left child, value, cover.
const MIN_NODE_BYTES: usize = 16;
/// Bytes that each tree takes at least: its two counts.
const MIN_TREE_BYTES: usize = 8;
/// Bytes that each categorical node takes at least: its index and its count.
const MIN_CATEGORICAL_BYTES: usize = 8;

/// Why bytes are no ensemble.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// The magic bytes are missing.
    #[error("not a native forest file")]
    NotAForest,
    /// A version from the future.
    #[error("format version {0} is not known, only {VERSION}")]
    Version(u16),
    /// Shorter than it says.
    #[error("file is cut short")]
    Truncated,
    /// Bytes have changed since they were written.
    #[error("checksum does not match")]
    Checksum,
    /// A tag that stands for nothing, or bytes left over.
    #[error("malformed file")]
    Malformed,
    /// Well formed, but no model.
    #[error(transparent)]
    Invalid(#[from] InvalidEnsemble),
}

/// The bytes of an ensemble; it should be valid, else [`decode`] will refuse them.
#[must_use]
pub fn encode(ensemble: &Ensemble) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend((ensemble.n_features as u32).to_le_bytes());
    out.push(match ensemble.combine {
        Combine::Sum => 0,
        Combine::Mean => 1,
    });
    out.extend(ensemble.base_score.to_le_bytes());
    match ensemble.link {
        Link::Identity => out.push(0),
        Link::Logistic => out.push(1),
        Link::AnomalyScore { average_path_length, offset } => {
            out.push(2);
            out.extend(average_path_length.to_le_bytes());
            out.extend(offset.to_le_bytes());
        }
    }
    out.extend((ensemble.trees.len() as u32).to_le_bytes());
    for tree in &ensemble.trees {
        encode_tree(tree, &mut out);
    }
    let checksum = crc32(&out);
    out.extend(checksum.to_le_bytes());
    out
}

fn encode_tree(tree: &Tree, out: &mut Vec<u8>) {
    let inner = || (0..tree.len()).filter(|&i| !tree.is_leaf(i));
    out.extend((tree.len() as u32).to_le_bytes());
    out.extend(tree.left.iter().flat_map(|x| x.to_le_bytes()));
    out.extend(tree.value.iter().flat_map(|x| x.to_le_bytes()));
    out.extend(tree.cover.iter().flat_map(|x| x.to_le_bytes()));
    out.extend(inner().flat_map(|i| tree.right[i].to_le_bytes()));
    out.extend(inner().flat_map(|i| tree.feature[i].to_le_bytes()));
    out.extend(inner().flat_map(|i| tree.threshold[i].to_le_bytes()));
    out.extend(inner().flat_map(|i| tree.gain[i].to_le_bytes()));
    out.extend(inner().map(|i| u8::from(tree.default_left[i])));
    out.extend((tree.categories.len() as u32).to_le_bytes());
    for (node, codes) in &tree.categories {
        out.extend(node.to_le_bytes());
        out.extend((codes.len() as u32).to_le_bytes());
        out.extend(codes.iter().flat_map(|x| x.to_le_bytes()));
    }
}

/// The ensemble of these bytes, validated. Never panics; memory stays in proportion to the bytes.
///
/// # Errors
/// [`DecodeError`] for anything that [`encode`] did not write.
pub fn decode(bytes: &[u8]) -> Result<Ensemble, DecodeError> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else { return Err(DecodeError::NotAForest) };
    let version = Reader(rest).u16()?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let (content, checksum) = bytes.split_last_chunk::<4>().ok_or(DecodeError::Truncated)?;
    if u32::from_le_bytes(*checksum) != crc32(content) {
        return Err(DecodeError::Checksum);
    }
    let mut reader =
        Reader(content.get(MAGIC.len() + size_of_val(&VERSION)..).ok_or(DecodeError::Truncated)?);
    let ensemble = decode_ensemble(&mut reader)?;
    if !reader.0.is_empty() {
        return Err(DecodeError::Malformed);
    }
    ensemble.validate()?;
    Ok(ensemble)
}

fn decode_ensemble(reader: &mut Reader<'_>) -> Result<Ensemble, DecodeError> {
    let n_features = reader.u32()? as usize;
    let combine = match reader.u8()? {
        0 => Combine::Sum,
        1 => Combine::Mean,
        _ => return Err(DecodeError::Malformed),
    };
    let base_score = reader.f32()?;
    let link = match reader.u8()? {
        0 => Link::Identity,
        1 => Link::Logistic,
        2 => Link::AnomalyScore { average_path_length: reader.f64()?, offset: reader.f64()? },
        _ => return Err(DecodeError::Malformed),
    };
    let n_trees = reader.count(MIN_TREE_BYTES)?;
    let trees = repeat_with(|| decode_tree(reader)).take(n_trees).collect::<Result<_, _>>()?;
    Ok(Ensemble { n_features, combine, base_score, link, trees })
}

fn decode_tree(reader: &mut Reader<'_>) -> Result<Tree, DecodeError> {
    let n = reader.count(MIN_NODE_BYTES)?;
    let left = reader.many(n, Reader::u32)?;
    let value = reader.many(n, Reader::f64)?;
    let cover = reader.many(n, Reader::f32)?;
    let inner: Vec<usize> = (0..n).filter(|&i| left[i] != LEAF).collect();
    let right = spread(reader.many(inner.len(), Reader::u32)?, &inner, vec![LEAF; n]);
    let feature = spread(reader.many(inner.len(), Reader::u32)?, &inner, vec![0; n]);
    let threshold = spread(reader.many(inner.len(), Reader::f32)?, &inner, vec![0.0; n]);
    let gain = spread(reader.many(inner.len(), Reader::f32)?, &inner, vec![0.0; n]);
    let default_left = spread(reader.many(inner.len(), Reader::bool)?, &inner, vec![false; n]);
    let n_categorical = reader.count(MIN_CATEGORICAL_BYTES)?;
    let categories = reader.many(n_categorical, |reader| {
        let node = reader.u32()?;
        let n_codes = reader.count(size_of::<u32>())?;
        Ok((node, reader.many(n_codes, Reader::u32)?))
    })?;
    Ok(Tree { feature, threshold, left, right, default_left, value, cover, gain, categories })
}

/// Puts the inner nodes' numbers in their places.
fn spread<T>(numbers: Vec<T>, inner: &[usize], mut all: Vec<T>) -> Vec<T> {
    for (number, &node) in numbers.into_iter().zip(inner) {
        all[node] = number;
    }
    all
}

/// The bytes that are still to be read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_le_bytes)
    }

    fn f32(&mut self) -> Result<f32, DecodeError> {
        self.array().map(f32::from_le_bytes)
    }

    fn f64(&mut self) -> Result<f64, DecodeError> {
        self.array().map(f64::from_le_bytes)
    }

    fn bool(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Malformed),
        }
    }

    /// A number of things that take so many bytes each; a forged one is caught before memory is
    /// asked for.
    fn count(&mut self, min_bytes_each: usize) -> Result<usize, DecodeError> {
        let count = self.u32()? as usize;
        if count > self.0.len() / min_bytes_each { Err(DecodeError::Truncated) } else { Ok(count) }
    }

    fn many<T>(
        &mut self,
        n: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        repeat_with(|| read(self)).take(n).collect()
    }
}

/// CRC-32 of IEEE 802.3 (reflected polynomial 0xEDB88320), byte by byte.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut crc = i as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
                bit += 1;
            }
            table[i] = crc;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, &byte| crc >> 8 ^ TABLE[(crc as u8 ^ byte) as usize])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::forest::{Evaluator, strategies};

    fn with_checksum(mut bytes: Vec<u8>) -> Vec<u8> {
        let end = bytes.len() - 4;
        let checksum = crc32(&bytes[..end]).to_le_bytes();
        bytes[end..].copy_from_slice(&checksum);
        bytes
    }

    proptest! {
        #[test]
        fn encoding_is_reversible_and_unique(ensemble in strategies::ensemble()) {
            let bytes = encode(&ensemble);
            let decoded = decode(&bytes).expect("own bytes");
            prop_assert_eq!(encode(&decoded), bytes);
            prop_assert_eq!(decoded, ensemble);
        }

        #[test]
        fn a_changed_byte_is_noticed(ensemble in strategies::ensemble(), at in any::<prop::sample::Index>(), change in 1u8..) {
            let mut bytes = encode(&ensemble);
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            prop_assert!(decode(&bytes).is_err());
        }

        #[test]
        fn a_truncated_file_is_noticed(ensemble in strategies::ensemble(), at in any::<prop::sample::Index>()) {
            let bytes = encode(&ensemble);
            prop_assert!(decode(&bytes[..at.index(bytes.len())]).is_err());
        }

        /// A forger who mends the checksum gets an error or a model that can be used, never a panic.
        #[test]
        fn forged_bytes_do_no_harm(
            ensemble in strategies::ensemble(),
            forgeries in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        ) {
            let mut bytes = encode(&ensemble);
            for (at, byte) in forgeries {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(forged) = decode(&with_checksum(bytes)) {
                prop_assume!(forged.n_features < 1_000);
                let row = vec![0.5; forged.n_features];
                let _ = Evaluator::new(&forged).expect("decoded models are valid").predict_row(&row);
            }
        }
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn foreign_and_future_files_are_told_apart() {
        assert_eq!(decode(b"PK"), Err(DecodeError::NotAForest));
        assert_eq!(decode(b"BINAHFOR"), Err(DecodeError::Truncated));
        assert_eq!(decode(b"BINAHFOR\x02\x00"), Err(DecodeError::Version(2)));
        assert_eq!(decode(b"BINAHFOR\x01\x00"), Err(DecodeError::Checksum));
    }

    #[test]
    fn a_forged_length_asks_for_no_memory() {
        let sound = Ensemble {
            n_features: 1,
            combine: Combine::Sum,
            base_score: 0.0,
            link: Link::Identity,
            trees: vec![],
        };
        let mut bytes = encode(&sound);
        let n_trees = bytes.len() - 8;
        bytes[n_trees..n_trees + 4].fill(0xff);
        assert_eq!(decode(&with_checksum(bytes)), Err(DecodeError::Truncated));
    }
}
