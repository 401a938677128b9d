//! The one TLS provider of the process: aws-lc.
//!
//! The Bolt driver switches rustls' second provider (ring) on as well. With two of them compiled in, rustls
//! panics for whoever asks for the default before it was named.

use std::sync::Once;

/// Names aws-lc as the process's provider. Whoever builds TLS connections calls it first; a second call
/// does nothing.
pub fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error says that the program around this library named one already, and that one holds.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    });
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_default_is_there_and_is_aws_lc() {
        super::install_provider();
        super::install_provider();
        let default = rustls::crypto::CryptoProvider::get_default().expect("named");
        let ours = rustls::crypto::aws_lc_rs::default_provider();
        // aws-lc alone has post-quantum key exchange.
        assert_eq!(format!("{:?}", default.kx_groups), format!("{:?}", ours.kx_groups));
        // Panics where no provider is named.
        let _ = rustls::ClientConfig::builder();
    }
}
