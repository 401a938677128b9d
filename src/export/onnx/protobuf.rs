//! Protocol Buffers' wire format, written: what ONNX's messages need of it.
//!
//! Reference: "Encoding" of the Protocol Buffers documentation. Repeated numbers are packed,
//! which every parser takes.

const VARINT: u32 = 0;
const LENGTH_DELIMITED: u32 = 2;

/// A message; fields stand in the order in which they are added.
#[derive(Debug, Clone, Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn int(&mut self, field: u32, value: i64) {
        self.tag(field, VARINT);
        varint(&mut self.0, value as u64);
    }

    pub(super) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.tag(field, LENGTH_DELIMITED);
        varint(&mut self.0, value.len() as u64);
        self.0.extend(value);
    }

    pub(super) fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    pub(super) fn message(&mut self, field: u32, value: &Self) {
        self.bytes(field, &value.0);
    }

    pub(super) fn ints(&mut self, field: u32, values: &[i64]) {
        let mut packed = Vec::with_capacity(values.len());
        values.iter().for_each(|&value| varint(&mut packed, value as u64));
        self.bytes(field, &packed);
    }

    pub(super) fn floats(&mut self, field: u32, values: &[f32]) {
        self.tag(field, LENGTH_DELIMITED);
        varint(&mut self.0, size_of_val(values) as u64);
        self.0.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn tag(&mut self, field: u32, wire_type: u32) {
        varint(&mut self.0, u64::from(field << 3 | wire_type));
    }
}

/// Seven bits a byte, the low ones first; the high bit says that more follow.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the documentation, and a negative number and floats.
    #[test]
    fn fields_are_encoded_as_documented() {
        let mut inner = Message::default();
        inner.int(1, 150);
        let mut message = inner.clone();
        message.text(2, "testing");
        message.message(3, &inner);
        message.ints(6, &[3, 270, 86_942]);
        let documented = b"\x08\x96\x01\x12\x07testing\x1a\x03\x08\x96\x01\x32\x06\x03\x8e\x02\x9e\xa7\x05";
        assert_eq!(message.into_bytes(), documented);
        let mut negative = Message::default();
        negative.int(1, -1);
        negative.floats(3, &[1.0]);
        let bytes = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1a\x04\0\0\x80\x3f";
        assert_eq!(negative.into_bytes(), bytes);
    }
}
