//! Loopback ports that stay the same from run to run.

use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use super::{Error, Result};

/// Below the range from which Linux takes ports of outgoing connections (32768..), so that no
/// connection grabs the port before the server binds it.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// The port remembered in `file` if it is free now, else a random free one, which is remembered.
pub(super) fn reserve(file: &Path) -> Result<u16> {
    let remembered = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
    if let Some(port) = remembered.filter(|&port| is_free(port)) {
        return Ok(port);
    }
    let port = random_free_port()?;
    std::fs::write(file, format!("{port}\n")).map_err(Error::io(format!("writing {}", file.display())))?;
    Ok(port)
}

fn random_free_port() -> Result<u16> {
    (0..1_000)
        .map(|attempt: u32| {
            // RandomState is seeded by the system: processes that start together differ.
            let hash = RandomState::new().hash_one((std::process::id(), attempt));
            FIRST + u16::try_from(hash % u64::from(COUNT)).expect("below COUNT")
        })
        .find(|&port| is_free(port))
        .ok_or_else(|| Error::Missing {
            what: "a free loopback port".into(),
            hint: format!("1,000 ports from {FIRST} on were tried"),
        })
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_kept_while_it_is_free() {
        let folder = tempfile::tempdir().expect("scratch folder");
        let file = folder.path().join("port");
        let first = reserve(&file).expect("port");
        assert!((FIRST..FIRST + COUNT).contains(&first));
        assert_eq!(reserve(&file).expect("port"), first);

        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).expect("free port");
        let second = reserve(&file).expect("port");
        assert_ne!(second, first);
        drop(taken);
        assert_eq!(reserve(&file).expect("port"), second, "the new one is remembered");
    }
}
