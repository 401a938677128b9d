//! A `DMatrix`: libxgboost's own copy of the rows.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use serde_json::json;

use super::api::{Api, Handle};
use super::dataset::Dataset;
use super::error::CallError;

/// Owns a `DMatrixHandle`.
pub(super) struct DMatrix<'lib> {
    api: &'lib Api,
    handle: Handle,
    n_rows: usize,
}

impl<'lib> DMatrix<'lib> {
    /// Copies a dataset that has passed [`Dataset::check`], with `n_threads` OpenMP threads.
    pub(super) fn new(api: &'lib Api, dataset: &Dataset<'_>, n_threads: usize) -> Result<Self, CallError> {
        let features = dataset.features;
        let columns: Vec<_> = (0..features.n_cols()).map(|j| array_interface(features.column(j))).collect();
        let data = c_string(&serde_json::Value::from(columns).to_string())?;
        // `NaN` is no JSON, but it is what libxgboost's reader wants.
        let config = c_string(&format!(r#"{{"missing":NaN,"nthread":{n_threads}}}"#))?;
        let mut handle = ptr::null_mut();
        // SAFETY: two NUL-terminated strings and a place for the handle. `data` describes exactly
        // the slices of `features`, which outlive the call; the library copies them and keeps none.
        api.check(unsafe { (api.dmatrix_create)(data.as_ptr(), config.as_ptr(), &mut handle) })?;
        // From here on `Drop` frees the handle, also when a call below fails.
        let mut matrix = Self { api, handle, n_rows: features.n_rows() };
        matrix.set_numbers(c"label", dataset.target)?;

        let strings = FeatureStrings::new(dataset)?;
        for (field, values) in strings.fields() {
            // SAFETY: a live handle, a NUL-terminated field name, and `len` NUL-terminated
            // strings which `strings` keeps alive; the library copies them.
            let status =
                unsafe { (api.dmatrix_set_features)(handle, field, values.as_ptr(), values.len() as u64) };
            api.check(status)?;
        }
        Ok(matrix)
    }

    /// Lets the sum of each row's leaf values start from a number of its own instead of the base score.
    pub(super) fn set_base_margin(&mut self, margins: &[f32]) -> Result<(), CallError> {
        self.set_numbers(c"base_margin", margins)
    }

    /// Copies one number a row.
    fn set_numbers(&mut self, field: &CStr, values: &[f32]) -> Result<(), CallError> {
        let interface = c_string(&array_interface(values).to_string())?;
        // SAFETY: a live handle and two NUL-terminated strings; `interface` describes the slice
        // `values`, which outlives the call and is copied.
        self.api
            .check(unsafe { (self.api.dmatrix_set_info)(self.handle, field.as_ptr(), interface.as_ptr()) })
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle
    }

    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }
}

impl Drop for DMatrix<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle came from `dmatrix_create`, is owned by this value, and is freed once.
        // The only possible failure is a null handle.
        unsafe { (self.api.dmatrix_free)(self.handle) };
    }
}

/// Names and types of the features as C strings, with the pointer lists that the C API takes.
pub(super) struct FeatureStrings {
    name_pointers: Vec<*const c_char>,
    type_pointers: Vec<*const c_char>,
    /// What `name_pointers` point into.
    _names: Vec<CString>,
}

impl FeatureStrings {
    pub(super) fn new(dataset: &Dataset<'_>) -> Result<Self, CallError> {
        let names = dataset.feature_names.iter().map(|n| c_string(n)).collect::<Result<Vec<_>, _>>()?;
        let types = dataset.categorical.iter().map(|&c| if c { c"c" } else { c"float" });
        Ok(Self {
            name_pointers: names.iter().map(|n| n.as_ptr()).collect(),
            type_pointers: types.map(|t| t.as_ptr()).collect(),
            _names: names,
        })
    }

    /// `(field, one string per feature)`; the pointers live as long as `self`.
    pub(super) fn fields(&self) -> [(*const c_char, &[*const c_char]); 2] {
        [(c"feature_name".as_ptr(), &self.name_pointers), (c"feature_type".as_ptr(), &self.type_pointers)]
    }
}

/// NumPy's `__array_interface__` (version 3) of a vector of floats.
fn array_interface(values: &[f32]) -> serde_json::Value {
    let address = values.as_ptr().expose_provenance();
    let read_only = true;
    json!({ "data": [address, read_only], "shape": [values.len()], "typestr": "<f4", "version": 3 })
}

/// A string for C.
pub(super) fn c_string(text: &str) -> Result<CString, CallError> {
    CString::new(text).map_err(|_| CallError::new("a string holds a NUL byte"))
}
