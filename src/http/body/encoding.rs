//! The text of a body: UTF-8, or UTF-16/32 recognised as RFC 4627 section 3 does, as Python's `json` reads it.

use std::borrow::Cow;

use crate::{Error, Result};

/// # Errors
/// [`Error::UnreadableBody`] for bytes that are no text in the encoding that they start in.
pub(super) fn decode(bytes: &[u8]) -> Result<Cow<'_, str>> {
    let text = match bytes {
        [0, 0, 0xFE, 0xFF, rest @ ..] => utf32(rest, u32::from_be_bytes),
        [0xFF, 0xFE, 0, 0, rest @ ..] => utf32(rest, u32::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xEF, 0xBB, 0xBF, rest @ ..] => utf8(rest),
        // No mark: JSON starts with ASCII, so the place of the zero bytes tells the width.
        [0, 0, _, _, ..] => utf32(bytes, u32::from_be_bytes),
        [0, _, _, _, ..] | [0, _] => utf16(bytes, u16::from_be_bytes),
        [_, 0, 0, 0, ..] => utf32(bytes, u32::from_le_bytes),
        [_, 0, _, _, ..] | [_, 0] => utf16(bytes, u16::from_le_bytes),
        _ => utf8(bytes),
    };
    text.ok_or(Error::UnreadableBody)
}

fn utf8(bytes: &[u8]) -> Option<Cow<'_, str>> {
    std::str::from_utf8(bytes).ok().map(Cow::Borrowed)
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Cow<'static, str>> {
    let (units, rest) = bytes.as_chunks::<2>();
    let units = units.iter().map(|&bytes| unit(bytes));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.ok().filter(|_| rest.is_empty()).map(Cow::Owned)
}

fn utf32(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> Option<Cow<'static, str>> {
    let (units, rest) = bytes.as_chunks::<4>();
    let text: Option<String> = units.iter().map(|&bytes| char::from_u32(unit(bytes))).collect();
    text.filter(|_| rest.is_empty()).map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_that_python_detects() {
        let text = "{\"é\": 1}";
        let wide16 = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        let wide32 =
            |unit: fn(u32) -> [u8; 4]| text.chars().flat_map(|c| unit(c as u32)).collect::<Vec<u8>>();
        let marked = |mark: &[u8], bytes: Vec<u8>| [mark, &bytes].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            marked(&[0xEF, 0xBB, 0xBF], text.as_bytes().to_vec()),
            wide16(u16::to_le_bytes),
            wide16(u16::to_be_bytes),
            marked(&[0xFF, 0xFE], wide16(u16::to_le_bytes)),
            marked(&[0xFE, 0xFF], wide16(u16::to_be_bytes)),
            wide32(u32::to_le_bytes),
            wide32(u32::to_be_bytes),
            marked(&[0xFF, 0xFE, 0, 0], wide32(u32::to_le_bytes)),
            marked(&[0, 0, 0xFE, 0xFF], wide32(u32::to_be_bytes)),
        ] {
            assert_eq!(decode(&bytes).ok().as_deref(), Some(text), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_unreadable() {
        for bytes in [&b"\x1f\x8b\x08\0\0\0"[..], b"{\"\xff\":1}", b"\xff\xfe{", b"{\0\"\0\0"] {
            assert!(matches!(decode(bytes), Err(Error::UnreadableBody)), "{bytes:?}");
        }
    }
}
