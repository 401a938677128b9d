//! Finding values in UBJSON as libxgboost writes it, to cut and join bytes without decoding them.
//!
//! Strings, keys and arrays begin with a 64-bit length behind a marker `L`; keys have no `S` before it. An
//! array of numbers of one kind names the kind once, and nothing closes an array. An object ends with
//! `}`. Everything is big-endian. Reference: `UBJWriter` in `src/common/json.cc` of XGBoost.

use std::ops::Range;

/// Containers within containers; a model has seven.
const MAX_DEPTH: usize = 32;

/// Bytes that are not what libxgboost writes, or that lack what was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("libxgboost's model is not in the form that is expected")]
pub struct MalformedModel;

/// Where the text of the string at a path of keys stands; its length is in the eight bytes before.
pub(super) fn text_at(document: &[u8], path: &[&str]) -> Result<Range<usize>, MalformedModel> {
    let mut cursor = Cursor::at_value(document, path)?;
    cursor.expect(b"SL")?;
    let length = cursor.length()?;
    let start = cursor.at;
    cursor.take(length)?;
    Ok(start..cursor.at)
}

/// Where each element of the array at a path of keys stands; the array must hold more than numbers.
pub(super) fn elements_at(document: &[u8], path: &[&str]) -> Result<Vec<Range<usize>>, MalformedModel> {
    let mut cursor = Cursor::at_value(document, path)?;
    cursor.expect(b"[#L")?;
    let mut elements = Vec::new();
    for _ in 0..cursor.length()? {
        let start = cursor.at;
        cursor.skip_value(path.len())?;
        elements.push(start..cursor.at);
    }
    Ok(elements)
}

/// Where the number at a path of keys stands, its marker included.
pub(super) fn number_at(document: &[u8], path: &[&str]) -> Result<Range<usize>, MalformedModel> {
    let mut cursor = Cursor::at_value(document, path)?;
    let start = cursor.at;
    let size = size_of_number(cursor.byte()?)?;
    cursor.take(size)?;
    Ok(start..cursor.at)
}

/// A number with its marker.
pub(super) fn integer(value: i64) -> Vec<u8> {
    [b"L", &value.to_be_bytes()[..]].concat()
}

struct Cursor<'a> {
    document: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Before the value at a path of keys.
    fn at_value(document: &'a [u8], path: &[&str]) -> Result<Self, MalformedModel> {
        let mut cursor = Self { document, at: 0 };
        for (depth, wanted) in path.iter().enumerate() {
            cursor.expect(b"{")?;
            while cursor.key()?.ok_or(MalformedModel)? != wanted.as_bytes() {
                cursor.skip_value(depth)?;
            }
        }
        Ok(cursor)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], MalformedModel> {
        let end = self.at.checked_add(n).ok_or(MalformedModel)?;
        let taken = self.document.get(self.at..end).ok_or(MalformedModel)?;
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, MalformedModel> {
        Ok(self.take(1)?[0])
    }

    fn expect(&mut self, bytes: &[u8]) -> Result<(), MalformedModel> {
        if self.take(bytes.len())? == bytes { Ok(()) } else { Err(MalformedModel) }
    }

    fn length(&mut self) -> Result<usize, MalformedModel> {
        let bytes = self.take(size_of::<u64>())?.try_into().map_err(|_| MalformedModel)?;
        usize::try_from(u64::from_be_bytes(bytes)).map_err(|_| MalformedModel)
    }

    /// The next key of an object; none at its end.
    fn key(&mut self) -> Result<Option<&'a [u8]>, MalformedModel> {
        match self.byte()? {
            b'}' => Ok(None),
            b'L' => {
                let length = self.length()?;
                self.take(length).map(Some)
            }
            _ => Err(MalformedModel),
        }
    }

    fn skip_value(&mut self, depth: usize) -> Result<(), MalformedModel> {
        if depth > MAX_DEPTH {
            return Err(MalformedModel);
        }
        match self.byte()? {
            b'{' => {
                while self.key()?.is_some() {
                    self.skip_value(depth + 1)?;
                }
            }
            b'[' => self.skip_elements(depth)?,
            b'S' => {
                self.expect(b"L")?;
                let length = self.length()?;
                self.take(length)?;
            }
            b'Z' | b'T' | b'F' => {}
            number => {
                self.take(size_of_number(number)?)?;
            }
        }
        Ok(())
    }

    fn skip_elements(&mut self, depth: usize) -> Result<(), MalformedModel> {
        match self.byte()? {
            b'$' => {
                let size = size_of_number(self.byte()?)?;
                self.expect(b"#L")?;
                let bytes = self.length()?.checked_mul(size).ok_or(MalformedModel)?;
                self.take(bytes)?;
            }
            b'#' => {
                self.expect(b"L")?;
                for _ in 0..self.length()? {
                    self.skip_value(depth + 1)?;
                }
            }
            _ => return Err(MalformedModel),
        }
        Ok(())
    }
}

/// Bytes of a number by its marker.
fn size_of_number(marker: u8) -> Result<usize, MalformedModel> {
    match marker {
        b'i' | b'U' => Ok(1),
        b'I' => Ok(2),
        b'l' | b'd' => Ok(4),
        b'L' | b'D' => Ok(8),
        _ => Err(MalformedModel),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An object of values that are encoded already.
    pub(crate) fn object(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![b'{'];
        for (key, value) in fields {
            bytes.extend(&text(key)[1..]);
            bytes.extend(value);
        }
        bytes.push(b'}');
        bytes
    }

    pub(crate) fn text(text: &str) -> Vec<u8> {
        [b"SL", &(text.len() as u64).to_be_bytes()[..], text.as_bytes()].concat()
    }

    fn array(elements: &[Vec<u8>]) -> Vec<u8> {
        [b"[#L", &(elements.len() as u64).to_be_bytes()[..], &elements.concat()].concat()
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        let mut bytes = [b"[$d#L", &(values.len() as u64).to_be_bytes()[..]].concat();
        values.iter().for_each(|value| bytes.extend(value.to_be_bytes()));
        bytes
    }

    fn document() -> Vec<u8> {
        let tree = |id: u8| object(&[("id", vec![b'i', id]), ("weights", floats(&[1.0, -0.0]))]);
        object(&[
            ("names", array(&[text("trees"), text("")])),
            ("numbers", array(&[vec![b'L', 0, 0, 0, 0, 0, 0, 0, 9], vec![b'T'], vec![b'I', 1, 2]])),
            ("model", object(&[("trees", array(&[tree(0), tree(1)])), ("score", text("5E-1"))])),
        ])
    }

    #[test]
    fn values_are_found_by_their_path() {
        let document = document();
        let at = text_at(&document, &["model", "score"]).expect("there");
        assert_eq!(&document[at.clone()], b"5E-1");
        assert_eq!(document[at.start - 8..at.start], 4u64.to_be_bytes());
        let trees = elements_at(&document, &["model", "trees"]).expect("there");
        assert_eq!(trees.len(), 2);
        assert_eq!(trees[0].end, trees[1].start);
        assert_eq!(document[trees[1].clone()][..13], *b"{L\0\0\0\0\0\0\0\x02idi");
        assert_eq!(elements_at(&document, &["names"]).expect("there").len(), 2);
        let tree = &document[trees[1].clone()];
        assert_eq!(tree[number_at(tree, &["id"]).expect("there")], *b"i\x01");
        let three = object(&[("a", integer(-2)), ("b", integer(3))]);
        assert_eq!(three[number_at(&three, &["b"]).expect("there")], *b"L\0\0\0\0\0\0\0\x03");
    }

    #[test]
    fn whatever_is_not_there_or_cut_short_is_an_error() {
        let document = document();
        assert_eq!(text_at(&document, &["model", "name"]), Err(MalformedModel));
        assert_eq!(text_at(&document, &["model"]), Err(MalformedModel));
        assert_eq!(number_at(&document, &["model", "score"]), Err(MalformedModel));
        assert_eq!(elements_at(&document, &["model", "score"]), Err(MalformedModel));
        for end in 0..document.len() - 2 {
            assert_eq!(text_at(&document[..end], &["model", "score"]), Err(MalformedModel), "{end}");
        }
        let endless = [b"{L\0\0\0\0\0\0\0\x01aSL", &[0xff; 8][..], b"x}"].concat();
        assert_eq!(text_at(&endless, &["a"]), Err(MalformedModel));
        let deep = [b"{L\0\0\0\0\0\0\0\x01a".repeat(100_000), b"i\0".to_vec()].concat();
        assert_eq!(text_at(&deep, &["b"]), Err(MalformedModel));
    }
}
