//! Makes Rust of `interop/proto/talk.proto`, by protox in the place of a protoc; and marks the tests whose peers are not
//! here.

#[path = "../interop/src/find.rs"]
mod find;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    find::mark();
    let proto = "../interop/proto/talk.proto";
    println!("cargo::rerun-if-changed={proto}");
    let files = protox::compile([proto], ["../interop/proto"])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
