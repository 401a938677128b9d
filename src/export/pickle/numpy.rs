//! numpy arrays as `numpy.ndarray(shape, dtype, buffer)`.
//!
//! numpy's own pickles name a function whose module moved from `numpy.core` to `numpy._core` in
//! numpy 2; the class itself stands in the same place in both. The buffer is a `bytearray`, so that the
//! array is writable.

use super::{Global, Pickler};

const NDARRAY: Global = Global { module: "numpy", name: "ndarray" };

/// A number that an array can hold, little-endian.
pub trait Scalar: Copy {
    /// numpy's name of the type.
    const DTYPE: &'static str;
    /// Appends the bytes.
    fn write(self, out: &mut Vec<u8>);
}

impl Scalar for i64 {
    const DTYPE: &'static str = "<i8";
    fn write(self, out: &mut Vec<u8>) {
        out.extend(self.to_le_bytes());
    }
}

impl Scalar for f64 {
    const DTYPE: &'static str = "<f8";
    fn write(self, out: &mut Vec<u8>) {
        out.extend(self.to_le_bytes());
    }
}

/// Writes an array in C order; `shape` must multiply to the number of values.
pub fn array<T: Scalar>(out: &mut Pickler, shape: &[usize], values: impl IntoIterator<Item = T>) {
    out.call(NDARRAY, |arguments| {
        arguments.push(|out: &mut Pickler| shape_tuple(out, shape));
        arguments.push(T::DTYPE);
        arguments.0.bytes(|bytes| values.into_iter().for_each(|value| value.write(bytes)));
    });
}

/// The fields of a structured array.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    /// Name, type and offset in bytes of each field.
    pub fields: &'static [(&'static str, &'static str, u32)],
    /// Bytes of a record, padding included.
    pub size: usize,
}

/// Writes a structured array of `n` records, each appended by `write`.
pub fn record_array(out: &mut Pickler, record: Record, n: usize, mut write: impl FnMut(usize, &mut Vec<u8>)) {
    out.call(NDARRAY, |arguments| {
        arguments.push(|out: &mut Pickler| shape_tuple(out, &[n]));
        arguments.push(|out: &mut Pickler| record.dtype(out));
        arguments.0.bytes(|bytes| {
            bytes.reserve(n * record.size);
            let start = bytes.len();
            for i in 0..n {
                write(i, bytes);
                bytes.resize(start + (i + 1) * record.size, 0);
            }
        });
    });
}

impl Record {
    /// The dict from which `numpy.dtype` makes a structured type.
    fn dtype(self, out: &mut Pickler) {
        out.dict(|dtype| {
            dtype.set("names", |out: &mut Pickler| {
                out.list(|names| self.fields.iter().for_each(|field| names.push(field.0)));
            });
            dtype.set("formats", |out: &mut Pickler| {
                out.list(|formats| self.fields.iter().for_each(|field| formats.push(field.1)));
            });
            dtype.set("offsets", |out: &mut Pickler| {
                out.list(|offsets| self.fields.iter().for_each(|field| offsets.push(field.2)));
            });
            dtype.set("itemsize", self.size);
        });
    }
}

fn shape_tuple(out: &mut Pickler, shape: &[usize]) {
    out.tuple(|lengths| shape.iter().for_each(|&length| lengths.push(length)));
}
