//! Makes cargo notice a new migration: `sqlx::migrate!` itself only tracks the files that it has read.
fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
