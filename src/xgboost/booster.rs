//! A `Booster`: a model while it grows.

use std::ffi::c_int;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::{ptr, slice};

use super::api::{Api, Handle};
use super::dmatrix::{DMatrix, FeatureStrings, c_string};
use super::error::CallError;

/// Model file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Ubj,
}

/// Owns a `BoosterHandle`. The handle is no `Send`: a training stays on its thread, where its
/// error messages and buffers are.
pub(super) struct Booster<'lib> {
    api: &'lib Api,
    handle: Handle,
}

impl<'lib> Booster<'lib> {
    /// An empty model that keeps its predictions of `cached` up to date from round to round.
    pub(super) fn new(api: &'lib Api, cached: &[&DMatrix<'lib>]) -> Result<Self, CallError> {
        let handles: Vec<Handle> = cached.iter().map(|m| m.handle()).collect();
        let mut handle = ptr::null_mut();
        // SAFETY: `handles` are as many live matrices as said (the library shares ownership of
        // what it keeps), and there is a place for the new handle.
        api.check(unsafe { (api.booster_create)(handles.as_ptr(), handles.len() as u64, &mut handle) })?;
        Ok(Self { api, handle })
    }

    /// The model of a file in UBJSON that libxgboost wrote.
    pub(super) fn loaded(api: &'lib Api, model: &[u8]) -> Result<Self, CallError> {
        let booster = Self::new(api, &[])?;
        // SAFETY: a live handle, and `len` bytes that the library reads and does not keep.
        let status = unsafe { (api.booster_load)(booster.handle, model.as_ptr().cast(), model.len() as u64) };
        api.check(status)?;
        Ok(booster)
    }

    /// Sets the number of OpenMP threads; the numbers do not depend on it.
    pub(super) fn set_threads(&mut self, n_threads: NonZeroUsize) -> Result<(), CallError> {
        self.set_param("nthread", &n_threads.to_string())
    }

    /// Sets a parameter; a value that the library refuses may come up only in the next call.
    pub(super) fn set_param(&mut self, name: &str, value: &str) -> Result<(), CallError> {
        let (name, value) = (c_string(name)?, c_string(value)?);
        // SAFETY: a live handle and two NUL-terminated strings, which are copied.
        let status = unsafe { (self.api.booster_set_param)(self.handle, name.as_ptr(), value.as_ptr()) };
        self.api.check(status)
    }

    /// Puts names and types of the features into the model, for whoever reads the file.
    pub(super) fn set_features(&mut self, strings: &FeatureStrings) -> Result<(), CallError> {
        for (field, values) in strings.fields() {
            // SAFETY: a live handle, a NUL-terminated field name, and `len` NUL-terminated
            // strings which `strings` keeps alive; the library copies them.
            let status = unsafe {
                (self.api.booster_set_features)(self.handle, field, values.as_ptr(), values.len() as u64)
            };
            self.api.check(status)?;
        }
        Ok(())
    }

    /// Grows the tree of `round` (counted from 0 over the whole life of the model).
    pub(super) fn update(&mut self, round: u32, train: &DMatrix<'lib>) -> Result<(), CallError> {
        // SAFETY: two live handles.
        let status = unsafe { (self.api.booster_update)(self.handle, c_index(round)?, train.handle()) };
        self.api.check(status)
    }

    /// Sums of leaf values and base score, one a row; quick for a matrix that is cached.
    pub(super) fn margins(&mut self, matrix: &DMatrix<'lib>) -> Result<&[f32], CallError> {
        // Type 1 is the margin; 0 is the end.
        let config =
            cr#"{"type":1,"training":false,"iteration_begin":0,"iteration_end":0,"strict_shape":false}"#;
        let (mut shape, mut dimensions, mut values) = (ptr::null(), 0, ptr::null());
        // SAFETY: two live handles, a NUL-terminated string and places for the three results.
        self.api.check(unsafe {
            (self.api.booster_predict)(
                self.handle,
                matrix.handle(),
                config.as_ptr(),
                &mut shape,
                &mut dimensions,
                &mut values,
            )
        })?;
        // SAFETY: after a successful call `shape` points to `dimensions` lengths.
        let shape = unsafe { slice::from_raw_parts(shape, dimensions as usize) };
        if shape.iter().product::<u64>() != matrix.n_rows() as u64 {
            return Err(CallError::new("predictions are not one per row"));
        }
        // SAFETY: `values` points to as many floats as the shape says, at least one since a
        // matrix has rows. They belong to the booster until its next prediction, which needs the
        // `&mut self` that the returned slice holds.
        Ok(unsafe { slice::from_raw_parts(values, matrix.n_rows()) })
    }

    /// The model of some of the rounds; there must be one at least.
    pub(super) fn slice(&self, rounds: Range<u32>) -> Result<Self, CallError> {
        let (begin, end) = (c_index(rounds.start)?, c_index(rounds.end)?);
        let mut handle = ptr::null_mut();
        // SAFETY: a live handle and a place for the new one, which shares nothing with it.
        let status = unsafe { (self.api.booster_slice)(self.handle, begin, end, 1, &mut handle) };
        if status == -2 {
            // The only code beyond 0 and -1, and it comes without a message.
            return Err(CallError::new("the model has fewer rounds than asked for"));
        }
        self.api.check(status)?;
        Ok(Self { api: self.api, handle })
    }

    /// The model file.
    pub(super) fn save(&mut self, format: Format) -> Result<Vec<u8>, CallError> {
        let config = match format {
            Format::Json => cr#"{"format":"json"}"#,
            Format::Ubj => cr#"{"format":"ubj"}"#,
        };
        let (mut length, mut bytes) = (0, ptr::null());
        // SAFETY: a live handle, a NUL-terminated string and places for the two results.
        let status =
            unsafe { (self.api.booster_save)(self.handle, config.as_ptr(), &mut length, &mut bytes) };
        self.api.check(status)?;
        // SAFETY: after a successful call `bytes` points to `length` bytes, the booster's own
        // until its next save; they are copied here. A model is never empty, so never null.
        Ok(unsafe { slice::from_raw_parts(bytes.cast::<u8>(), length as usize) }.to_vec())
    }
}

impl Drop for Booster<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle came from `booster_create` or `booster_slice`, is owned by this
        // value, and is freed once. The only possible failure is a null handle.
        unsafe { (self.api.booster_free)(self.handle) };
    }
}

fn c_index(round: u32) -> Result<c_int, CallError> {
    c_int::try_from(round).map_err(|_| CallError::new("too many rounds"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::Matrix;
    use crate::xgboost::{Dataset, Library};

    #[test]
    fn a_failed_call_brings_the_library_s_own_words() {
        let library = Library::of_deps();
        let features = Matrix::from_columns(vec![vec![1.0, 2.0, f32::NAN]]);
        let (names, target) = (["a".to_owned()], [0.0, 1.0, 2.0]);
        let rows =
            Dataset { features: &features, target: &target, feature_names: &names, categorical: &[false] };
        let matrix = DMatrix::new(library.api(), &rows, 1).expect("three good rows");
        let mut booster = Booster::new(library.api(), &[&matrix]).expect("one matrix");
        booster.set_param("objective", "reg:nonsense").expect("looked at later");
        let error = booster.update(0, &matrix).expect_err("there is no such objective");
        assert!(error.to_string().contains("Unknown objective function: `reg:nonsense`"), "{error}");
        assert!(!error.to_string().contains("Stack trace"), "{error}");

        let mut booster = Booster::new(library.api(), &[&matrix]).expect("one matrix");
        booster.update(0, &matrix).expect("defaults are good");
        assert!(booster.slice(0..1).is_ok());
        let error = booster.slice(0..2).err().expect("only one round was trained");
        assert!(error.to_string().contains("fewer rounds"), "{error}");
    }
}
