//! The functions of `xgboost/c_api.h` that training needs, as pointers resolved once.

use std::ffi::{CStr, c_char, c_int, c_void};

use super::error::CallError;

/// `DMatrixHandle` and `BoosterHandle`: opaque, owned by whoever created them.
pub(super) type Handle = *mut c_void;

/// `bst_ulong`.
pub(super) type Length = u64;

/// Declares the table of functions and the code that fills it.
macro_rules! c_api {
    ($($(#[$attribute:meta])* $name:ident: $symbol:literal = ($($argument:ty),*) $(-> $output:ty)?;)*) => {
        /// Functions of an open libxgboost. Every one returns 0, or -1 with the reason in
        /// `XGBGetLastError`, but `version` and `last_error`.
        #[derive(Debug, Clone, Copy)]
        pub(super) struct Api {
            $($(#[$attribute])* pub(super) $name: unsafe extern "C" fn($($argument),*) $(-> $output)?,)*
        }

        impl Api {
            /// Looks up every symbol.
            ///
            /// # Safety
            /// `library` must be libxgboost (a symbol of the right name is called with the
            /// signature given here) and must never be unloaded.
            pub(super) unsafe fn resolve(
                library: &libloading::os::unix::Library,
            ) -> Result<Self, libloading::Error> {
                Ok(Self {
                    $($name: {
                        // SAFETY: the caller vouches for the library; the signature is that of c_api.h.
                        *unsafe { library.get::<unsafe extern "C" fn($($argument),*) $(-> $output)?>($symbol)? }
                    },)*
                })
            }
        }
    };
}

c_api! {
    /// Writes major, minor and patch.
    version: c"XGBoostVersion" = (*mut c_int, *mut c_int, *mut c_int);
    /// The calling thread's last error; valid until its next call.
    last_error: c"XGBGetLastError" = () -> *const c_char;
    /// Copies columns, given as a JSON list of array interfaces.
    dmatrix_create: c"XGDMatrixCreateFromColumnar" = (*const c_char, *const c_char, *mut Handle) -> c_int;
    /// Copies a vector of per-row numbers (`label`, `base_margin`), given as an array interface.
    dmatrix_set_info: c"XGDMatrixSetInfoFromInterface" = (Handle, *const c_char, *const c_char) -> c_int;
    /// Copies one string per feature (`feature_name`, `feature_type`).
    dmatrix_set_features: c"XGDMatrixSetStrFeatureInfo" = (Handle, *const c_char, *const *const c_char, Length) -> c_int;
    /// Gives a matrix back.
    dmatrix_free: c"XGDMatrixFree" = (Handle) -> c_int;
    /// A booster that caches its predictions of the given matrices.
    booster_create: c"XGBoosterCreate" = (*const Handle, Length, *mut Handle) -> c_int;
    /// Sets one parameter by name.
    booster_set_param: c"XGBoosterSetParam" = (Handle, *const c_char, *const c_char) -> c_int;
    /// Copies one string per feature into the model.
    booster_set_features: c"XGBoosterSetStrFeatureInfo" = (Handle, *const c_char, *const *const c_char, Length) -> c_int;
    /// Grows the tree of one round.
    booster_update: c"XGBoosterUpdateOneIter" = (Handle, c_int, Handle) -> c_int;
    /// Predicts; shape and values stay the booster's own, until its next prediction.
    booster_predict: c"XGBoosterPredictFromDMatrix" =
        (Handle, Handle, *const c_char, *mut *const Length, *mut Length, *mut *const f32) -> c_int;
    /// A new booster with the rounds `begin..end`, every `step`th.
    booster_slice: c"XGBoosterSlice" = (Handle, c_int, c_int, c_int, *mut Handle) -> c_int;
    /// The model file in memory; the bytes stay the booster's own, until its next save.
    booster_save: c"XGBoosterSaveModelToBuffer" = (Handle, *const c_char, *mut Length, *mut *const c_char) -> c_int;
    /// Replaces the model by that of a file in memory, which is not kept.
    booster_load: c"XGBoosterLoadModelFromBuffer" = (Handle, *const c_void, Length) -> c_int;
    /// Gives a booster back.
    booster_free: c"XGBoosterFree" = (Handle) -> c_int;
}

impl Api {
    /// Turns a return code into a result, with libxgboost's own words as the error.
    ///
    /// Must be called on the thread that made the call, before its next one.
    pub(super) fn check(&self, status: c_int) -> Result<(), CallError> {
        if status == 0 {
            return Ok(());
        }
        // SAFETY: takes nothing; returns a NUL-terminated string of this thread (empty when there
        // was no error), which is copied before any other call.
        let message = unsafe { CStr::from_ptr((self.last_error)()) }.to_string_lossy();
        Err(CallError::new(&message))
    }
}
