//! Python's pickle format, written: protocol 5, which Python 3.8 and later read.
//!
//! A pickle is a program for a small stack machine. The ones written here use 20 of its opcodes:
//! constants, containers, `GLOBAL` (look a name up in a module), `REDUCE` (call it), `NEWOBJ` and
//! `BUILD` (make an object, set its state). Loading one therefore runs what its globals name:
//! **whoever loads a pickle trusts whoever wrote it**. Ours hold no global beyond [`Global`]s
//! that stand as constants in this room; none comes from a request, and texts of tenants (feature
//! names) only ever become strings of known length, which no byte in them can end early.
//! `python -m pickletools model.pkl` shows the program without running it.
//!
//! Reference: `Lib/pickletools.py` of CPython.

mod numpy;

pub use numpy::{Record, Scalar, array, record_array};

/// The opcodes in use, by CPython's names.
mod op {
    pub(super) const PROTO: u8 = 0x80;
    pub(super) const STOP: u8 = b'.';
    pub(super) const NONE: u8 = b'N';
    pub(super) const NEWTRUE: u8 = 0x88;
    pub(super) const NEWFALSE: u8 = 0x89;
    pub(super) const BININT: u8 = b'J';
    pub(super) const LONG1: u8 = 0x8a;
    pub(super) const BINFLOAT: u8 = b'G';
    pub(super) const BINUNICODE: u8 = b'X';
    pub(super) const BYTEARRAY8: u8 = 0x96;
    pub(super) const MARK: u8 = b'(';
    pub(super) const TUPLE: u8 = b't';
    pub(super) const EMPTY_TUPLE: u8 = b')';
    pub(super) const EMPTY_LIST: u8 = b']';
    pub(super) const APPENDS: u8 = b'e';
    pub(super) const EMPTY_DICT: u8 = b'}';
    pub(super) const SETITEMS: u8 = b'u';
    pub(super) const GLOBAL: u8 = b'c';
    pub(super) const REDUCE: u8 = b'R';
    pub(super) const NEWOBJ: u8 = 0x81;
    pub(super) const BUILD: u8 = b'b';
}

/// The bytes of a value.
#[must_use]
pub fn dump(value: impl Pickle) -> Vec<u8> {
    let mut pickler = Pickler { out: vec![op::PROTO, 5] };
    value.pickle(&mut pickler);
    pickler.out.push(op::STOP);
    pickler.out
}

/// What can be written: constants, [`Global`]s, and functions that write something larger.
pub trait Pickle {
    /// Writes the opcodes that leave exactly this value on the stack.
    fn pickle(&self, out: &mut Pickler);
}

/// Writes values one after another.
#[derive(Debug)]
pub struct Pickler {
    out: Vec<u8>,
}

/// A name in a Python module, such as a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Global {
    /// Dotted path of the module.
    pub module: &'static str,
    /// Name in it.
    pub name: &'static str,
}

/// The elements of a tuple, a list or a call, while it is open.
#[derive(Debug)]
pub struct Items<'a>(&'a mut Pickler);

/// The entries of a dict or of an object's state, while it is open.
#[derive(Debug)]
pub struct Entries<'a>(&'a mut Pickler);

impl Items<'_> {
    /// Adds an element.
    pub fn push(&mut self, value: impl Pickle) {
        value.pickle(self.0);
    }
}

impl Entries<'_> {
    /// Adds an entry.
    pub fn set(&mut self, key: &str, value: impl Pickle) {
        key.pickle(self.0);
        value.pickle(self.0);
    }
}

impl Pickler {
    /// `(a, b, ...)`.
    pub fn tuple(&mut self, fill: impl FnOnce(&mut Items<'_>)) {
        self.out.push(op::MARK);
        fill(&mut Items(self));
        self.out.push(op::TUPLE);
    }

    /// `[a, b, ...]`.
    pub fn list(&mut self, fill: impl FnOnce(&mut Items<'_>)) {
        self.out.extend([op::EMPTY_LIST, op::MARK]);
        fill(&mut Items(self));
        self.out.push(op::APPENDS);
    }

    /// `{key: value, ...}`.
    pub fn dict(&mut self, fill: impl FnOnce(&mut Entries<'_>)) {
        self.out.extend([op::EMPTY_DICT, op::MARK]);
        fill(&mut Entries(self));
        self.out.push(op::SETITEMS);
    }

    /// `callable(a, b, ...)`.
    pub fn call(&mut self, callable: Global, arguments: impl FnOnce(&mut Items<'_>)) {
        callable.pickle(self);
        self.tuple(arguments);
        self.out.push(op::REDUCE);
    }

    /// An object made without its `__init__`, with this state.
    pub fn object(&mut self, class: Global, state: impl FnOnce(&mut Entries<'_>)) {
        class.pickle(self);
        self.out.extend([op::EMPTY_TUPLE, op::NEWOBJ]);
        self.state(state);
    }

    /// Gives the object just written its state.
    pub fn state(&mut self, state: impl FnOnce(&mut Entries<'_>)) {
        self.dict(state);
        self.out.push(op::BUILD);
    }

    /// A `bytearray` of whatever `fill` appends.
    pub fn bytes(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        self.out.push(op::BYTEARRAY8);
        let length_at = self.out.len();
        self.out.extend([0; size_of::<u64>()]);
        let start = self.out.len();
        fill(&mut self.out);
        let length = (self.out.len() - start) as u64;
        self.out[length_at..start].copy_from_slice(&length.to_le_bytes());
    }
}

impl<F: Fn(&mut Pickler)> Pickle for F {
    fn pickle(&self, out: &mut Pickler) {
        self(out);
    }
}

impl Pickle for Global {
    fn pickle(&self, out: &mut Pickler) {
        out.out.push(op::GLOBAL);
        for line in [self.module, self.name] {
            out.out.extend(line.as_bytes());
            out.out.push(b'\n');
        }
    }
}

impl Pickle for bool {
    fn pickle(&self, out: &mut Pickler) {
        out.out.push(if *self { op::NEWTRUE } else { op::NEWFALSE });
    }
}

impl Pickle for i64 {
    fn pickle(&self, out: &mut Pickler) {
        match i32::try_from(*self) {
            Ok(small) => {
                out.out.push(op::BININT);
                out.out.extend(small.to_le_bytes());
            }
            Err(_) => {
                out.out.extend([op::LONG1, size_of::<Self>() as u8]);
                out.out.extend(self.to_le_bytes());
            }
        }
    }
}

impl Pickle for u32 {
    fn pickle(&self, out: &mut Pickler) {
        i64::from(*self).pickle(out);
    }
}

impl Pickle for usize {
    /// Counts and sizes, which are far below `i64::MAX`.
    fn pickle(&self, out: &mut Pickler) {
        (*self as i64).pickle(out);
    }
}

impl Pickle for f64 {
    fn pickle(&self, out: &mut Pickler) {
        out.out.push(op::BINFLOAT);
        out.out.extend(self.to_be_bytes());
    }
}

impl Pickle for &str {
    /// Texts are names: below 4 GiB.
    fn pickle(&self, out: &mut Pickler) {
        out.out.push(op::BINUNICODE);
        out.out.extend((self.len() as u32).to_le_bytes());
        out.out.extend(self.as_bytes());
    }
}

impl<T: Pickle> Pickle for Option<T> {
    fn pickle(&self, out: &mut Pickler) {
        match self {
            Some(value) => value.pickle(out),
            None => out.out.push(op::NONE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of CPython's own `pickle.dumps` of the same values, less framing and memo.
    #[test]
    fn constants_are_written_as_python_writes_them() {
        let written = |value: &dyn Fn(&mut Pickler)| dump(|out: &mut Pickler| value(out));
        assert_eq!(written(&|out| true.pickle(out)), b"\x80\x05\x88.");
        assert_eq!(written(&|out| None::<i64>.pickle(out)), b"\x80\x05N.");
        assert_eq!(written(&|out| (-2_i64).pickle(out)), b"\x80\x05J\xfe\xff\xff\xff.");
        assert_eq!(written(&|out| (1_i64 << 40).pickle(out)), b"\x80\x05\x8a\x08\0\0\0\0\0\x01\0\0.");
        assert_eq!(written(&|out| 1.5_f64.pickle(out)), b"\x80\x05G\x3f\xf8\0\0\0\0\0\0.");
        assert_eq!(written(&|out| "a\n".pickle(out)), b"\x80\x05X\x02\0\0\0a\n.");
    }

    #[test]
    fn containers_and_calls_nest() {
        let program = dump(|out: &mut Pickler| {
            out.object(Global { module: "m", name: "C" }, |state| {
                state.set("k", |out: &mut Pickler| {
                    out.call(Global { module: "m", name: "f" }, |arguments| arguments.push(true));
                });
            });
        });
        assert_eq!(program, b"\x80\x05cm\nC\n)\x81}(X\x01\0\0\0kcm\nf\n(\x88tRub.");
    }

    #[test]
    fn bytes_carry_their_length() {
        let program = dump(|out: &mut Pickler| out.bytes(|bytes| bytes.extend(b"ab.")));
        assert_eq!(program, b"\x80\x05\x96\x03\0\0\0\0\0\0\0ab..");
    }
}
