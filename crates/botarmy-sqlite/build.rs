//! Migrations are compiled in, so a change in one of them has to compile this crate again.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/sqlite");
}
