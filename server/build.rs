//! Builds again when a migration is added: the compiler by itself watches only those that it has seen.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
